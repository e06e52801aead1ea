"""The JSON of calibrations, and of the outcomes that they are made from."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, WithJsonSchema

from tierline.views.view import AnyJson, AnyObject, Page, TextId, Time, View

CalibrationState = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "enum": [
                *("in_force", "nothing_promised", "not_applied", "superseded", "withdrawn"),
                "of_another_version",
            ],
        }
    ),
]
Reference = Annotated[str, WithJsonSchema({"type": "string", "enum": ["model", "human"]})]


class OutcomeCount(View):
    """The outcomes that exist for a calibration."""

    feature: str
    tier: str
    models: str | None = Field(description="the models that answered; null: no outcome yet")
    reference: Reference
    outcomes: int = Field(description="new ones with a reference")
    missing: int = Field(
        description="how many more to wait for: up to `recommended`, or where that is null, the"
        " fewest with which such a promise can be tested"
    )
    chance: float | None = Field(
        description="simulated chance that a search on the present outcomes finds a promise;"
        " null: too few outcomes to say"
    )
    recommended: int | None = Field(
        description="outcomes with which that chance is 90%; null: unknown, or too many"
    )
    reference_models: list[str]
    attempt: int = Field(description="number of the next calibration, from 1")
    judge: AnyObject | None = Field(description="who decides what differs; null: plain comparison")


class TestedThreshold(View):
    """A tested threshold and its result."""

    threshold: float
    served: int
    errors: int
    bound: float


class CalibratedLabel(View):
    """A calibration's result for one label of a closed set."""

    label: str
    samples: int
    served: int
    errors: int


class Calibration(View):
    """A promise about what a tier serves, its evidence, and its state."""

    id: TextId
    feature: str
    tier: str
    state: CalibrationState
    models: str = Field(description="the models that answered; it is valid only for these")
    attempt: int = Field(description="number of this calibration of prompt, checks and models")
    reference: Reference
    reference_models: list[str] = Field(
        description="whose answers it was compared with: an error is a disagreement"
    )
    max_error: float = Field(description="promised maximum for served answers")
    confidence: float
    tested_at: float = Field(description="the confidence of its test")
    threshold: float | None = Field(description="null: nothing can be promised, all escalates")
    samples: int = Field(description="outcomes that it was tested on")
    served: int | None = Field(description="of those, at the threshold")
    errors: int | None = Field(description="of the served")
    bound: float | None = Field(description="the highest error rate compatible with the test")
    coverage: float = Field(description="the share that is served")
    fitted: int = Field(description="other outcomes, from which the score was learned")
    signals: list[str] = Field(description="the signals of the score; empty: one signal alone")
    why_not_learned: str | None
    judge: AnyObject | None = Field(
        description="the judge, and how often people found it wrong; null: no judge"
    )
    least_likeness: float | None = Field(
        description="to the inputs it was made from; below it an input is novel and escalates;"
        " null: not checked"
    )
    novel: int = Field(description="outcomes left out of its test as novel")
    tested: list[TestedThreshold] = Field(description="thresholds in the order tested")
    by_label: list[CalibratedLabel]
    shadow_samples: int = Field(description="served answers that were compared since")
    shadow_errors: int = Field(description="of those")
    created_at: Time
    withdrawn_at: Time | None
    withdrawn_reason: str | None


class CalibrationList(Page[Calibration]):
    """A feature's calibrations."""


class OutcomeToLabel(View):
    """An input for people to label."""

    job_id: UUID
    input: AnyJson
    answer: AnyJson = None


class ToLabel(Page[OutcomeToLabel]):
    """A random sample of outcomes to label."""
