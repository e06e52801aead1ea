"""The JSON of trainings: operations that make a micro model or a router."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from tierline.views.operations.operations import OperationRow
from tierline.views.training.steering import MicroModelWithPromise, Router
from tierline.views.view import AnyObject, Page, TextId, Time, View

# Documented as one of these but not checked, because a later release may write another one.
Status = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "enum": ["queued", "in_progress", "completed", "failed", "cancelled"]}
    ),
]
Phase = Annotated[
    str,
    WithJsonSchema({"type": "string", "enum": ["reading", "embedding", "learning", "testing"]}),
]
ArtefactKind = Annotated[str, WithJsonSchema({"type": "string", "enum": ["micro_model", "router"]})]


class TrainingProgress(View):
    """The progress of a training."""

    phase: Phase
    done: int = Field(description="of `of`, within the phase")
    of: int = Field(description="0: unknown")


class TrainingError(View):
    """Why a training failed."""

    code: str = Field(
        description="not_enough_data, conflict, extra_missing, out_of_memory, timeout, …"
    )
    message: str


class TrainingResult(View):
    """The result of a training."""

    micro_model: MicroModelWithPromise | None = Field(
        description="null: of a router, or of a dry run"
    )
    router: Router | None = Field(description="null: of a micro model, or of a dry run")
    rows: int = Field(description="rows that it was trained on")
    right_rows: int = Field(
        description="micro models: answered right by a model not fitted on them; routers: handled "
        "well by the first tier"
    )
    quality: AnyObject = Field(description="on rows that it was not fitted on")


class Training(View):
    """A training, in a separate server process."""

    id: TextId
    feature: str
    kind: ArtefactKind = Field(description="what it makes")
    status: Status
    cancel_requested: bool = Field(description="it ends within seconds")
    options: AnyObject
    progress: TrainingProgress | None = Field(description="null: it has not begun")
    result: TrainingResult | None = Field(description="null: it is not completed")
    error: TrainingError | None = Field(description="null: it did not fail")
    created_at: Time
    started_at: Time | None
    completed_at: Time | None

    @classmethod
    def of_row(cls, row: OperationRow) -> "Training":
        """From a row of `storage.operations`."""
        error = None
        if row["error_code"] is not None:
            error = {"code": row["error_code"], "message": row["error_message"]}
        cancel_requested = row["cancel_requested_at"] is not None
        return cls.model_validate({**row, "cancel_requested": cancel_requested, "error": error})


class TrainingList(Page[Training]):
    """A feature's trainings."""
