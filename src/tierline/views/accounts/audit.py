"""The JSON of the log of what people did in the console."""

from uuid import UUID

from pydantic import Field

from tierline.views.view import AnyObject, Page, TextId, Time, View


class AuditEntry(View):
    """What a person did in the console."""

    id: TextId
    at: Time
    account: str = Field(description="the key's or the person's; empty: of neither")
    key_id: int = Field(
        description="the key that the person signed in with; with `person` their own number, which"
        " is no key's; 0: nobody was signed in"
    )
    key_name: str
    key_prefix: str = Field(description="the key's first characters")
    person: str = Field(description="who signed in by OpenID Connect; empty: it was a key")
    action: str = Field(description="job.content_shown, webhook.tested …")
    job_id: UUID | None = Field(description="null: about no single job")
    detail: AnyObject | None = Field(description="names and numbers, never an input or an output")


class AuditPage(Page[AuditEntry]):
    """A page of the log."""
