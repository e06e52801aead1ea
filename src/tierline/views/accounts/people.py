"""The JSON of people who signed in to the console by OpenID Connect."""

from pydantic import Field

from tierline.views.accounts.accounts import KeyScope
from tierline.views.view import Page, Time, View


class Person(View):
    """A person who signed in to the console by OpenID Connect."""

    id: int = Field(description="their own number, which is no key's; the audit log's key_id")
    name: str = Field(description="as the identity provider has it; names may repeat")
    subject: str = Field(description="what the identity provider identifies them by")
    account: str = Field(description="by their last sign-in")
    scopes: list[KeyScope] = Field(description="by their last sign-in")
    signed_in_at: Time = Field(description="the last time")
    sessions: int = Field(description="that have not ended")


class PersonPage(Page[Person]):
    """A page of people."""


class SignedOut(View):
    """A person whose sessions were ended."""

    id: int
    ended: int = Field(description="sessions that were ended")
