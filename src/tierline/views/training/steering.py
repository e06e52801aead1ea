"""The JSON of routers and micro models."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, WithJsonSchema

from tierline.views.evidence.calibrations import Calibration
from tierline.views.view import AnyJson, AnyObject, Page, TextId, Time, View

TrainedBy = Annotated[
    str,
    Field(description="no promise is based on what a client trained"),
    WithJsonSchema({"type": "string", "enum": ["server", "client"]}),
]


class TrainingRow(View):
    """An input, and whether the first tier handled it well."""

    job_id: UUID
    input: AnyJson
    right: bool = Field(description="no later tier would mend the first tier's answer")
    stands_for: float = Field(
        default=1.0, description="inputs: the inverse of its probability to be in the log"
    )
    step_usd: float | None = Field(
        default=None, description="what asking the later tiers costs more; null: unknown"
    )


class TrainingData(Page[TrainingRow]):
    """The rows that a router is trained on."""


class Router(View):
    """Predicts whether a later tier would mend the first tier's answer."""

    id: TextId
    feature: str
    rows: int
    right_rows: int
    data_sha256: str
    with_embeddings: bool
    quality: AnyObject = Field(
        description="on rows that it was not fitted on: auroc and brier; apgr of it, prompt length "
        "and others; over_length and over_coin, the leads with their paired 95% intervals; "
        "recommended: router, length or nothing; longest: characters for the rule"
    )
    trained_by: TrainedBy
    trained_at: Time
    withdrawn_at: Time | None


class RouterList(Page[Router]):
    """A feature's routers."""


class MicroModel(View):
    """A classifier that answers for a feature inside the worker."""

    id: TextId
    model: str = Field(description="as attempts name it")
    feature: str
    rows: int = Field(description="rows that it was trained on")
    right_rows: int = Field(description="of those, answered right by a model not fitted on them")
    data_sha256: str
    quality: AnyObject
    trained_by: TrainedBy
    trained_at: Time
    withdrawn_at: Time | None


class MicroModelList(Page[MicroModel]):
    """A feature's micro models."""


class MicroModelWithPromise(MicroModel):
    """A micro model and its promise."""

    calibration: Calibration | None
