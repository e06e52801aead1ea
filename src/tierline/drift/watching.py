"""Whether anything looks at what a feature's promise is about, and what to do if nothing does."""

from dataclasses import dataclass
from typing import Literal

FEWEST_LABELS = 20  # labels since the promise; fewer say little about a rate of errors

Watcher = Literal["drift", "shadow", "feedback"]


@dataclass(frozen=True)
class Watching:
    """What could notice that a promise no longer holds."""

    evidence: str  # what promises, such as "calibration 7"
    drift: bool  # new inputs are compared with a reference
    drift_soon: bool  # the workers will store a reference
    shadow: bool  # a share of the served answers is compared with the last tier's
    labels: int  # by people, about jobs since the promise

    @property
    def by(self) -> list[Watcher]:
        """What looks; empty: the promise is unwatched."""
        looks: dict[Watcher, bool] = {
            "drift": self.drift,
            "shadow": self.shadow,
            "feedback": self.labels >= FEWEST_LABELS,
        }
        return [name for name, does in looks.items() if does]

    def next(self, feature: str) -> tuple[str, str] | None:
        """The command that changes it, and why; None if something looks already."""
        if self.by:
            return None
        if self.drift_soon:
            return (
                f"tierline drift {feature}",
                "the workers store what traffic is compared with within minutes",
            )
        return (
            "tierline features apply FILE",
            "after adding 'shadow: {share: 0.02, usd_per_day: 2}' to the feature's file: a share "
            "of what is served is then compared with the last tier",
        )
