"""The JSON of drift: a feature's traffic compared with its evidence."""

from pydantic import Field

from tierline.views.evidence.calibrations import OutcomeToLabel
from tierline.views.view import AnyObject, Time, View


class DriftFigure(View):
    """A figure of one day: its mean, and its range without change."""

    name: str
    mean: float
    least: float
    most: float


class DriftLook(View):
    """A daily comparison of a feature's inputs and answers."""

    number: int
    at: Time = Field(validation_alias="looked_at")
    inputs: int
    money: float = Field(description="evidence of change; 20 raises an alarm")
    alarm: bool


class Drift(View):
    """A feature's traffic compared with its evidence."""

    feature: str
    evidence: str | None = Field(description="the evidence used now; null: there is none")
    evidence_at: Time | None
    refresh_days: int
    refresh_due: bool = Field(description="the evidence is older than that")
    reference: AnyObject | None = Field(description="what traffic is compared with; null: nothing")
    waits_for: str | None = Field(description="why there is no comparison yet; null: there is one")
    drifted: bool
    moved: list[str]
    figures: list[DriftFigure] = Field(
        description="of the newest day, or the last with an alarm: the mean, and its range "
        "without change"
    )
    looks: list[DriftLook]
    examples: list[OutcomeToLabel]
