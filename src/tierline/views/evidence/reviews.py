"""The JSON of the answers that people are asked to label, and of the progress."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from tierline.views.view import Page, Time, View


class WantedLabel(View):
    """A label that is wanted and not given yet."""

    job_id: UUID
    feature: str
    second: bool = Field(description="one person has labelled it; another one is to label it too")
    source: Literal["sample", "filter"] = Field(description="drawn at random, or chosen")
    held: bool = Field(description="somebody looks at it in the console now")
    asked_at: Time


class FeedbackQueue(Page[WantedLabel]):
    """The labels that are wanted, the oldest first."""


class PromiseLabels(View):
    """The labels for a promise that people's labels decide."""

    max_error: float = Field(description="of the newest calibration; 0.05 if there is none")
    confidence: float
    asked: int = Field(description="outcomes that were drawn for a label, unused so far")
    labelled: int = Field(description="of those")
    needed: int | None = Field(
        description="labels that the smallest promise needs, if all answers are right; null: the"
        " libraries for calibrating are not installed"
    )


class LabelAgreement(View):
    """How well people agree on the answers that two of them labelled."""

    answers: int
    same: int
    kappa: float | None = Field(
        description="Cohen's kappa: 1 is full agreement, 0 is agreement by chance; null: undefined"
    )


class LabelProgress(View):
    """How many labels a feature has, and how many it needs."""

    feature: str
    labels: int = Field(description="inputs whose right output is known, from people or a model")
    needed_for_evaluation: int
    promise: PromiseLabels | None = Field(
        description="null: the feature has no outcomes, and a sample to label was never drawn"
    )
    agreement: LabelAgreement = Field(description="of the caller's account's people")


class AskedForLabels(View):
    """How many labels were asked for."""

    asked: int
