"""The JSON of what people say about answers."""

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from pydantic import Field

from tierline.base.json_text import JSONValue
from tierline.views.view import (
    AnyJson,
    Time,
    View,
)


class FeedbackRow(TypedDict):
    """A person's feedback on a job's answer."""

    id: int
    job_id: UUID
    correct: bool | None
    expected: JSONValue
    comment: str | None
    created_at: datetime


class Feedback(View):
    """A person's feedback on a job's answer."""

    id: int
    job_id: UUID
    correct: bool | None
    expected: AnyJson
    comment: str | None
    created_at: Time


class FeedbackCount(View):
    """How much feedback was stored."""

    kept: int = Field(description="0 after a dry run")
    checked: int
