"""The JSON of accounts, their keys and their signing secrets."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from tierline.rules.roles import SCOPES
from tierline.views.view import Page, Time, View

KeyScope = Annotated[str, WithJsonSchema({"type": "string", "enum": [*SCOPES]})]


class Account(View):
    """An account and its limits."""

    name: str
    weight: int
    max_queued_jobs: int | None = Field(description="null: the setting's; as for other limits")
    max_jobs_in_progress: int | None
    max_requests_per_s: int | None = Field(description="to each API process")
    max_body_bytes_per_s: int | None = Field(description="to each API process")
    created_at: Time


class AccountList(Page[Account]):
    """All accounts."""


class Key(View):
    """An API key, without the key itself."""

    id: int
    account: str
    name: str
    prefix: str = Field(description="the key's first characters")
    scopes: list[KeyScope]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None
    replaced_by: int | None = Field(description="the key that replaced it by a rotation")


class KeyList(Page[Key]):
    """All keys."""


class NewKey(Key):
    """A new key."""

    key: str = Field(description="shown only this once")


class WebhookSecret(View):
    """The signing secret for webhooks to jobs' own webhook_url."""

    secret: str = Field(description="signs the webhooks of the account's jobs")
    old_until: Time | None = Field(description="the former secret signs too, until then")
