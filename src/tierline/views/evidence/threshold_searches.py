"""The JSON of threshold searches: operations that end in a calibration."""

from typing import Annotated, Self

from pydantic import Field, WithJsonSchema

from tierline.views.operations.operations import OperationRow
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
    """The progress of a search."""

    phase: str = Field(description="comparing, reading, testing")
    done: int = Field(description="of `of`, within the phase")
    of: int = Field(description="0: unknown")


class SearchError(View):
    """Why a search failed. It used up no outcome."""

    code: str = Field(
        description="not_enough_data, conflict, extra_missing, out_of_memory, timeout, …"
    )
    message: str


class ThresholdSearch(View):
    """A search for the threshold that keeps a promise, in a separate server process."""

    id: TextId
    feature: str
    status: SearchStatus
    cancel_requested: bool = Field(description="it ends within seconds")
    options: AnyObject = Field(description="the requested promise")
    progress: SearchProgress | None = Field(description="null: it is not running")
    calibration: AnyObject | None = Field(
        description="as it was made; `calibrations` has its current state; null: there is none"
    )
    error: SearchError | None = Field(description="null: it did not fail")
    created_at: Time
    started_at: Time | None
    completed_at: Time | None

    @classmethod
    def of_row(cls, row: OperationRow) -> Self:
        """From a row of `storage.operations`."""
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
