"""The JSON of the log of what people did in the console."""

from uuid import UUID

from pydantic import Field

from tierline.views.view import AnyObject, Page, TextId, Time, View


class AuditEntry(View):
    """What a person did in the console."""

    id: TextId
    at: Time
    account: str = Field(description="the key's")
    key_id: int = Field(description="the key that the person signed in with")
    key_name: str
    key_prefix: str = Field(description="the key's first characters")
    action: str = Field(description="job.content_shown, webhook.tested …")
    job_id: UUID | None = Field(description="null: about no single job")
    detail: AnyObject | None = Field(description="names and numbers, never an input or an output")


class AuditPage(Page[AuditEntry]):
    """A page of the log."""
