"""What callers are shown of threshold searches: operations that end in a calibration."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema

from tierline.views.view import AnyObject, Page, TextId, Time, View

SearchStatus = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "enum": ["queued", "in_progress", "completed", "failed", "cancelled"],
        }
    ),
]


class SearchProgress(View):
    """How far a search is."""

    phase: str = Field(description="comparing, reading, testing")
    done: int = Field(description="of `of`, within the phase")
    of: int = Field(description="0: not known")


class SearchError(View):
    """Why a search failed. It used no outcome up."""

    code: str = Field(description="not_enough_data, conflict, extra_missing, out_of_memory, …")
    message: str


class ThresholdSearch(View):
    """A search for the threshold that keeps a promise, in a process of the server's own."""

    id: TextId
    feature: str
    status: SearchStatus
    cancel_requested: bool = Field(description="it ends within seconds")
    options: AnyObject = Field(description="what is to be promised, as it was asked")
    progress: SearchProgress | None = Field(description="null: nobody works on it")
    calibration: AnyObject | None = Field(
        description="as it was made: `calibrations` says what became of it; null: there is none"
    )
    error: SearchError | None = Field(description="null: it did not fail")
    created_at: Time
    started_at: Time | None
    completed_at: Time | None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Of a row of `storage.operations`."""
        error = None
        if row["error_code"] is not None:
            error = {"code": row["error_code"], "message": row["error_message"]}
        return cls.model_validate(
            {
                **row,
                "cancel_requested": row["cancel_requested_at"] is not None,
                "calibration": row["result"],
                "error": error,
            }
        )


class ThresholdSearchList(Page[ThresholdSearch]):
    """A feature's threshold searches."""
