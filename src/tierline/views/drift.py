"""What callers are shown of drift: how a feature's traffic stands against its evidence."""

from pydantic import Field

from tierline.views.calibrations import OutcomeToLabel
from tierline.views.view import AnyObject, Time, View


class DriftFigure(View):
    """A figure of a look: its mean, and between what it lies unchanged."""

    name: str
    mean: float
    least: float
    most: float


class DriftLook(View):
    """A daily look at a feature's inputs and answers."""

    number: int
    at: Time = Field(validation_alias="looked_at")
    inputs: int
    money: float = Field(description="won against no change; 20 is an alarm")
    alarm: bool


class Drift(View):
    """How a feature's traffic stands against its evidence."""

    feature: str
    evidence: str | None = Field(description="what it goes by now; null: nothing was found")
    evidence_at: Time | None
    refresh_days: int
    refresh_due: bool = Field(description="the evidence is older than that")
    reference: AnyObject | None = Field(description="what traffic is held against; null: nothing")
    waits_for: str | None = Field(description="why there is no look yet; null: there is one")
    drifted: bool
    moved: list[str]
    figures: list[DriftFigure] = Field(
        description="of the newest look, or the last with an alarm: the mean, and between "
        "what it lies unchanged"
    )
    looks: list[DriftLook]
    examples: list[OutcomeToLabel]
