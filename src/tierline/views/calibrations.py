"""What callers are shown of calibrations, and of the outcomes that they are made from."""

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
                *("in_force", "nothing_promised", "superseded", "withdrawn"),
                "of_another_version",
            ],
        }
    ),
]
Reference = Annotated[str, WithJsonSchema({"type": "string", "enum": ["model", "human"]})]


class OutcomeCount(View):
    """What there is to calibrate on."""

    feature: str
    tier: str
    models: str | None = Field(description="who answered; null: no outcome yet")
    reference: Reference
    outcomes: int = Field(description="new ones that have a reference")
    missing: int = Field(description="more that are needed at the very least")
    reference_models: list[str]
    attempt: int = Field(description="the next calibration's, from 1")
    judge: AnyObject | None = Field(description="who says what differs; null: the comparison alone")


class TestedThreshold(View):
    """A threshold that was tested, and what it showed."""

    threshold: float
    served: int
    errors: int
    bound: float


class CalibratedLabel(View):
    """What a calibration found of one label of a closed set."""

    label: str
    samples: int
    served: int
    errors: int


class Calibration(View):
    """What may be promised of what a tier serves, on what, and what became of it."""

    id: TextId
    feature: str
    tier: str
    state: CalibrationState
    models: str = Field(description="who answered: it holds for no other")
    attempt: int = Field(description="of this prompt, these checks and models")
    reference: Reference
    reference_models: list[str] = Field(
        description="whose answers it was compared with: errors are disagreement with them"
    )
    max_error: float = Field(description="promised, of what is served")
    confidence: float
    tested_at: float = Field(description="the confidence of its test")
    threshold: float | None = Field(description="null: nothing can be promised, all escalates")
    samples: int = Field(description="outcomes that it was tested on")
    served: int | None = Field(description="of those, at the threshold")
    errors: int | None = Field(description="of the served")
    bound: float | None = Field(description="the highest error rate that this leaves possible")
    coverage: float = Field(description="the share that is served")
    fitted: int = Field(description="other outcomes, that the score was learned on")
    signals: list[str] = Field(
        description="that the score was learned from; empty: it is the one signal alone"
    )
    why_not_learned: str | None
    judge: AnyObject | None = Field(
        description="whose word it goes by, and how often people found that wrong; null: none"
    )
    least_likeness: float | None = Field(
        description="to inputs that it was made on, below which one is novel, and escalates;"
        " null: that is not looked at"
    )
    novel: int = Field(description="outcomes left out of its test for that")
    tested: list[TestedThreshold] = Field(description="thresholds in the order tested")
    by_label: list[CalibratedLabel]
    shadow_samples: int = Field(description="of what it served, compared since")
    shadow_errors: int = Field(description="of those")
    created_at: Time
    withdrawn_at: Time | None
    withdrawn_reason: str | None


class CalibrationList(Page[Calibration]):
    """A feature's calibrations."""


class OutcomeToLabel(View):
    """An input of which people are to say what is right."""

    job_id: UUID
    input: AnyJson
    answer: AnyJson = None


class ToLabel(Page[OutcomeToLabel]):
    """Outcomes that were drawn at random to be labelled."""
