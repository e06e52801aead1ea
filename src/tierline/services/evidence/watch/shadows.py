"""Gives outcomes their references: adds shadows for served answers, and compares both answers.

Calibrations are watched with the results. If later outcomes refute a calibration's promise, it is
withdrawn.
"""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.pricing import OwnPrices
from tierline.pricing.estimates import estimates, prices_of
from tierline.routing.thresholds.monitoring import broken
from tierline.rules.jobs import Status
from tierline.rules.queues import lane
from tierline.services.evidence.watch.readable_features import ReadableFeatures
from tierline.storage.evidence import calibrations, shadows
from tierline.storage.evidence.judgements import DueJudgement
from tierline.storage.evidence.shadows import DueShadow, OpenOutcome
from tierline.storage.money.prices import own_prices

log = structlog.get_logger(__name__)

AT_ONCE = 200


def keep_references(pool: ConnectionPool[Any], until_s: float) -> None:
    """Run one round, in small transactions, until the monotonic time `until_s`. The next round
    continues.
    """
    with pool.connection() as connection:
        while time.monotonic() < until_s and compare_open(connection) == AT_ONCE:
            pass
        shadow_due(connection)


def compare_open(connection: Connection[Any], recipe: str | None = None) -> int:
    """Compare outcomes whose reference exists. Returns how many it read. Safe to run in several
    processes at once.

    Outcomes of a failed job count as different: no tier gave a reference, and without them the hard
    inputs would be missing. An outcome is not compared if its answer was removed, if its job was
    cancelled or expired, or if a budget, a plan or the latency target kept the job from a later
    tier.
    """
    features = ReadableFeatures(connection)
    with connection.transaction():
        rows = features.readable(
            lambda without: shadows.open_outcomes(connection, AT_ONCE, recipe, without)
        )
        waiting = [row for row in rows if between(features.of(row), row)]
        shadows.wait_for_shadows(connection, waiting)
        shadows.note(
            connection,
            [
                {
                    "job_id": row["job_id"],
                    "attempt": row["attempt"],
                    "shadow_job_id": row["shadow_job_id"],
                    "judge_job_id": row["judge_job_id"],
                    "differs": _differs(features.of(row), row),
                    "reference_by": row["reference_by"] if row["has_reference"] else None,
                    "repeated": row["repeated"],
                }
                for row in rows
                if row not in waiting
            ],
        )
    served_by = {row["calibration_id"] for row in rows if row["served"]}
    for id in sorted(id for id in served_by if id is not None):
        _watch(connection, id)
    return len(rows)


def shadow_due(connection: Connection[Any]) -> int:
    """Add shadows for the drawn served outcomes, within their features' daily budgets.

    An outcome that waited for a day is no longer drawn. Returns how many shadows were added. Adds
    none while another process adds some.
    """
    with connection.transaction():
        return _shadow_due(connection) if shadows.hold_spending(connection) else 0


def _shadow_due(connection: Connection[Any]) -> int:
    batch = _Batch(connection)
    while batch.add_shadows():
        pass
    return batch.made


class _Batch:
    """The shadows that one transaction adds."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.made = 0
        self._connection = connection
        self._prices = own_prices(connection)
        self._features = ReadableFeatures(connection)
        self._left: dict[str, Decimal | None] = {}
        self._full: set[str] = set()  # features whose daily budget is spent

    def add_shadows(self) -> bool:
        """Add shadows for the oldest outcomes. Returns whether others may be due behind them, of
        features that still have a budget.
        """
        rows = self._features.readable(
            lambda without: shadows.due_shadows(self._connection, AT_ONCE, self._full, without)
        )
        full_before = len(self._full)
        for row in rows:
            feature = self._features.of(row)
            if row["stale"] or row["characters"] is None or feature.shadow is None:
                shadows.draw_no_more(self._connection, row)
            elif feature.name not in self._full:
                self._add(feature, row, row["characters"])
        return len(rows) == AT_ONCE and len(self._full) > full_before

    def _add(self, feature: Feature, row: DueShadow, characters: int) -> None:
        name = feature.name
        if name not in self._left:
            self._left[name] = left_today(self._connection, feature)
        left = self._left[name]
        at_most = _at_most_usd(feature, self._prices, characters)
        if left is not None and (at_most is None or at_most > left):
            self._full.add(name)  # its outcomes wait for the next day, or for a price of its tier
        elif _shadow(self._connection, feature, row, at_most):
            self.made += 1
            if left is not None and at_most is not None:
                self._left[name] = left - at_most


def left_today(connection: Connection[Any], feature: Feature) -> Decimal | None:
    """USD that the feature may still spend today (UTC) on comparing answers. None: no limit."""
    if feature.shadow is None or feature.shadow.usd_per_day is None:
        return None
    limit = Decimal(str(feature.shadow.usd_per_day))
    return limit - shadows.spent_on_comparing(connection, feature.name)


def between(feature: Feature, row: OpenOutcome | DueJudgement) -> bool:
    """Whether the outcome's job was answered by a tier between its own and the last. Such an answer
    cannot be its reference.
    """
    return (
        row["shadow_job_id"] is None
        and row["has_reference"]
        and not row["blocked"]
        and row["reference_tier"] != feature.allowed_tiers()[-1].name
    )


def _shadow(
    connection: Connection[Any], feature: Feature, row: DueShadow, at_most_usd: Decimal | None
) -> bool:
    tier = feature.allowed_tiers()[-1]
    index = feature.tiers.index(tier)
    assert feature.shadow is not None
    return shadows.add_shadow(
        connection,
        row,
        id=new_id(),
        tier=tier.name,
        tier_index=index,
        queue=lane(feature.place(index), backfill=True),
        decision={
            "policy": "shadow",
            "choice": tier.name,
            "reason": "drawn at random to check an earlier tier's answer",
            "signals": {"share": feature.shadow.share, "shadow_of": str(row["job_id"])},
        },
        at_most_usd=at_most_usd,
    )


def _at_most_usd(feature: Feature, own: OwnPrices, characters: int) -> Decimal | None:
    """The highest cost of a shadow, estimated from its input's length; None: no price is known."""
    prices = prices_of(feature, own, datetime.now(UTC))
    return estimates(feature, prices, 1, characters)[-1].cost_usd


def _differs(feature: Feature, row: OpenOutcome) -> bool | None:
    if not row["has_output"] or row["status"] not in (Status.COMPLETED, Status.FAILED):
        return None
    if row["blocked"]:
        return None  # no later tier was called, so there is no reference
    if not row["has_reference"]:
        return True
    if row["judge"] is not None:
        return None if row["judged_same"] is None else not row["judged_same"]
    return not feature.compared_by.same(row["output"], row["reference"])


def _watch(connection: Connection[Any], id: int) -> None:
    """Withdraw a calibration if its promise is refuted. The test is valid however often it runs."""
    kept = calibrations.calibration(connection, id)
    if kept is None or kept.withdrawn_at is not None or kept.reference != "model":
        return  # another model cannot refute a promise that is based on people's labels
    samples, errors = shadows.watched(connection, id)
    judge = kept.document.get("judge")
    # upper bound on the share of wrong answers among those that the judge held to be the same
    missed = 0.0 if judge is None else judge["missed"]
    most = (kept.max_error - missed) / (1.0 - missed)
    if samples and broken(errors, samples, most, kept.confidence):
        reason = (
            f"{errors} of {samples} shadow samples of its served answers differ, which refutes an "
            f"error rate of {kept.max_error:.2%} at {kept.confidence:.0%} confidence"
        )
        calibrations.withdraw(connection, kept.feature, id, reason)
        log.warning("calibration_withdrawn", feature=kept.feature, calibration=id, reason=reason)
