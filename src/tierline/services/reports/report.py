"""What a feature's routing saved: its real costs, and the costs of its last tier alone."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSONValue
from tierline.features import Feature
from tierline.routing.thresholds.sampling import equally_drawn
from tierline.services.evidence.watch.watching import watch_of
from tierline.services.features.find_feature import current_feature
from tierline.storage.reports import reports
from tierline.storage.reports.feature_sums import Window
from tierline.storage.reports.reports import ComparedOutcome, TierCost
from tierline.storage.reports.uncounted import snapshot
from tierline.views.reports.reports import Escalation, KeptQuality, Outcome, Report, ReportedTier
from tierline.views.reports.reports import PurposeCost as PurposeCostView

MOST_OUTCOMES = 20_000  # the newest ones, for the quality in one report


def report(
    connection: Connection[Any], name: str, since: datetime, until: datetime | None
) -> Report:
    """Costs, escalations by reason and quality, of jobs submitted in [since, until); without
    `until`, up to now.

    Unknown values are None. Raises NotFound, InvalidInput.
    """
    feature = current_feature(connection, name)
    window = _window(name, since, until)
    with snapshot(connection):
        statuses = reports.statuses(connection, window)
        by_tier, by_purpose = reports.costs(connection, window)
    jobs = sum(row.jobs for row in statuses)
    own = [row for row in by_tier if row.kind == "answer"]
    cost = _cost(by_tier, "answer")
    unknown = sum(row.unknown_cost_calls for row in own)
    last = feature.allowed_tiers()[-1].name
    alone = _last_tier_alone(by_tier, last, jobs)
    left: Counter[str] = Counter()
    for row in statuses:
        if row.verdict:
            left[row.verdict] += row.jobs
    return Report(
        feature=name,
        since=since,
        to=datetime.now(UTC) if until is None else until,
        jobs=jobs,
        completed=sum(row.jobs for row in statuses if row.status == "completed"),
        unverified=sum(row.jobs for row in statuses if row.unverified),
        failed=sum(row.jobs for row in statuses if row.status == "failed"),
        tiers=[
            ReportedTier.model_validate(row)
            for row in sorted(own, key=lambda row: _place(feature, row.tier))
        ],
        escalations=[
            Escalation(verdict=verdict, jobs=count, share=count / jobs)
            for verdict, count in sorted(left.items(), key=lambda one: (-one[1], one[0]))
        ],
        cost_usd=cost,
        unknown_cost_calls=unknown,
        shadow_cost_usd=_cost(by_tier, "shadow"),
        judge_cost_usd=_cost(by_tier, "judge"),
        costs_by_purpose=[PurposeCostView.model_validate(row) for row in by_purpose],
        last_tier=last,
        last_tier_alone_usd=alone,
        saved_usd=None if alone is None or unknown else alone - cost,
        saved_share=None if not alone or unknown else float(1 - cost / alone),
        quality=_quality(
            reports.compared(connection, window, None, MOST_OUTCOMES), _judge(connection, feature)
        ),
        watch=watch_of(connection, feature),
    )


def outcomes_page(
    connection: Connection[Any],
    name: str,
    since: datetime,
    until: datetime | None,
    before: int | None,
    limit: int,
    account_id: int | None = None,
) -> tuple[list[Outcome], int | None]:
    """Compared outcomes, newest first, and the `seq` to continue before. Inputs are included for
    the account's own jobs, or for all jobs if no account is given. Raises NotFound.
    """
    current_feature(connection, name)
    rows = reports.compared(connection, _window(name, since, until), before, limit + 1, account_id)
    shown = rows[:limit]
    made = [Outcome.model_validate(row) for row in shown]
    return made, shown[-1].seq if len(rows) > limit else None


def _window(name: str, since: datetime, until: datetime | None) -> Window:
    if since >= (datetime.now(UTC) if until is None else until):
        raise InvalidInput([Problem("from is not before to", "/from")])
    return Window(name, since, until)


def _judge(connection: Connection[Any], feature: Feature) -> dict[str, JSONValue] | None:
    """The judge that compares answers, and the share of differences that it missed in the newest
    calibration. None if that is unknown or if no judge is used.
    """
    if feature.compared_by.kind != "judge":
        return None
    missed = reports.missed_by_judge(connection, feature.name)
    return {"model": feature.compared_by.model, "missed": missed}


def _last_tier_alone(by_tier: Sequence[TierCost], last: str, jobs: int) -> Decimal | None:
    """What the last tier would have cost for all jobs. It extrapolates the cost of the jobs that
    the last tier answered, shadows included. None if there were none, or if a cost is unknown.
    """
    there = [row for row in by_tier if row.tier == last and row.kind != "judge"]
    answered = sum(row.jobs for row in there)
    if not answered or any(row.unknown_cost_calls for row in there):
        return None
    total = sum((row.cost_usd for row in there), Decimal(0))
    return Decimal(total / answered * jobs)


def _cost(by_tier: Sequence[TierCost], kind: str) -> Decimal:
    """USD of callers' jobs ("answer"), of shadows or of judges."""
    return sum((row.cost_usd for row in by_tier if row.kind == kind), Decimal(0))


def _place(feature: Feature, tier: str) -> int:
    names = [one.name for one in feature.tiers]
    return names.index(tier) if tier in names else len(names)


def _quality(rows: Sequence[ComparedOutcome], judge: dict[str, JSONValue] | None) -> KeptQuality:
    """How much differs from its reference, of what the first tier served and did not serve.

    Uses only outcomes that were sampled with the same probability, so that they represent all.
    """
    drawn = equally_drawn(rows)
    served = [row for row in drawn if row.served]
    return KeptQuality(
        compared=len(drawn),
        reference_models=sorted({row.reference_by for row in drawn if row.reference_by}),
        served=len(served),
        served_differ=sum(row.differs for row in served),
        escalated_differ=sum(row.differs for row in drawn if not row.served),
        judge=judge,
    )
