"""The first page: what is wrong now, and each feature's figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from tierline.views.evidence.calibrations import Calibration
from tierline.views.reports.reports import FeatureStatus, Report, ReportedTier

NEARLY_SPENT = Decimal("0.8")  # of a budget's limit, from where it is shown
IN_FORCE = "in_force"


class Wrong(NamedTuple):
    """Something that a person should know now."""

    tone: str  # bad: it stops work; warn: it will, or a promise is unsure
    what: str
    why: str


class TierShare(NamedTuple):
    """A tier's part of a feature's answers. `place`: 0 for the first one."""

    tier: ReportedTier
    place: int
    share: float | None


class Promise(NamedTuple):
    """What a calibration promises for a tier, and the comparisons since."""

    tier: str
    max_error: float
    confidence: float
    compared: int
    differed: int

    @property
    def observed_error(self) -> float | None:
        return self.differed / self.compared if self.compared else None


@dataclass(frozen=True)
class FeatureCard:
    """A feature's figures. `report` is of 30 days, `status` of this month."""

    status: FeatureStatus
    report: Report
    tiers: Sequence[TierShare]
    promises: Sequence[Promise]


def card_of(
    status: FeatureStatus, report: Report, calibrations: Sequence[Calibration]
) -> FeatureCard:
    """A feature's card."""
    served = sum(tier.served for tier in report.tiers)
    return FeatureCard(
        status,
        report,
        [
            TierShare(tier, place, tier.served / served if served else None)
            for place, tier in enumerate(report.tiers)
        ],
        [
            Promise(one.tier, one.max_error, one.confidence, one.shadow_samples, one.shadow_errors)
            for one in calibrations
            if one.state == IN_FORCE
        ],
    )


def wrongs_of(
    degraded: Mapping[str, str],
    budgets: Iterable[Mapping[str, Any]],
    cards: Iterable[FeatureCard],
) -> list[Wrong]:
    """What is wrong now, the worst first."""
    by_reason: dict[str, list[str]] = {}
    for part, why in sorted(degraded.items()):
        by_reason.setdefault(why, []).append(part)
    wrong = [Wrong("bad", ", ".join(parts), why) for why, parts in by_reason.items()]
    for budget in budgets:
        used, limit = budget["spent_usd"] + budget["reserved_usd"], budget["limit_usd"]
        if used >= limit * NEARLY_SPENT:
            who = f"{budget['scope']} {budget['key']}".strip()
            name = f"budget of {budget['account']}, {who} for each {budget['period']}"
            state = "is spent" if used >= limit else "is nearly spent"
            tone = "bad" if used >= limit and budget["hard"] else "warn"
            wrong.append(Wrong(tone, name, f"{state}: {used:.2f} of {limit:.2f} USD"))
    for card in cards:
        status = card.status
        if status.drifted:
            wrong.append(
                Wrong("warn", status.feature, "its inputs have drifted: its promises ended")
            )
        if status.watch is not None and status.watch.unwatched:
            wrong.append(Wrong("warn", status.feature, "nothing watches its promise"))
        if status.stale is not None:
            wrong.append(
                Wrong("warn", status.feature, f"its evaluation is not valid: {status.stale}")
            )
    return sorted(wrong, key=lambda one: one.tone != "bad")
