"""What a feature's jobs cost and how they were routed. Reads only: the sums, and the jobs that are
not rolled up yet.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.homes import read_at_homes, up_to_now
from tierline.storage.db.rows import typed_rows
from tierline.storage.reports.facts import JOBS, LATENCIES, TIERS
from tierline.storage.reports.feature_sums import JOB_OF_FEATURE, OF_FEATURE, Window, summed
from tierline.storage.reports.uncounted import snapshot

# `verdict`: of the last tier from which the job escalated.
_STATUSES = """
SELECT status, unverified, nullif(verdict, '') AS verdict, sum(jobs)::bigint AS jobs
FROM feature_rows WHERE kind = 'answer' GROUP BY 1, 2, 3
"""

# Jobs that wait or run are counted where they are. A branch for each of the queues' indexes.
_LIVE = " UNION ALL ".join(
    f"""
SELECT j.status, j.unverified, split_part(j.escalation_reason, ':', 1) AS verdict, count(*) AS jobs
FROM jobs j {JOB_OF_FEATURE}
WHERE j.part < 2 AND {rows} AND j.shadow_of IS NULL AND j.judged_attempt IS NULL
    AND j.created_at >= %(since)s AND j.created_at < %(until)s
GROUP BY 1, 2, 3"""
    for rows in (
        "j.status = 'queued' AND j.hint_no IS NULL",
        "j.status = 'queued' AND j.hint_no IS NOT NULL",
        "j.status = 'in_progress'",
    )
)
LIVE = f"WITH {OF_FEATURE} {_LIVE}"

# A tier's cost is that of all attempts there, with callers' jobs, shadows and judges separate.
_TIERS = """
SELECT tier, kind, purpose, sum(calls)::bigint AS calls, sum(attempts)::bigint AS attempts,
    sum(again)::bigint AS again, sum(cost_usd) AS cost_usd,
    sum(unknown_cost_calls)::bigint AS unknown_cost_calls
FROM feature_rows GROUP BY 1, 2, 3
"""

_SERVED = """
SELECT served_tier AS tier, kind, sum(jobs)::bigint AS jobs
FROM feature_rows WHERE served_tier <> '' GROUP BY 1, 2
"""

_LATENCIES = """
SELECT tier, kind, bin, sum(attempts)::bigint AS attempts, sum(latency_s) AS latency_s
FROM feature_rows GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

# Compared outcomes, each with the cost of both answers. `later_usd` is null if a call's cost is
# unknown.
OUTCOMES = """
WITH compared AS (
    SELECT o.* FROM @outcomes o
    WHERE o.feature = %(feature)s AND o.drawn AND o.differs IS NOT NULL AND NOT o.repeated
        AND o.job_id >= %(floor)s AND o.created_at >= %(since)s AND o.created_at < %(until)s
        AND (%(before)s::bigint IS NULL OR o.seq < %(before)s)
    ORDER BY o.seq DESC LIMIT %(limit)s
)
SELECT CASE WHEN %(account)s::bigint IS NULL OR j.account_id = %(account)s THEN r.input END
        AS input,
    o.seq, o.job_id, o.served, o.inclusion, o.signals, o.score, o.differs, o.reference_by,
    o.models, weak.cost_usd AS first_usd, strong.cost_usd AS later_usd
FROM compared o JOIN @job_requests r ON r.job_id = o.job_id JOIN @jobs j ON j.id = o.job_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(c.cost_usd IS NOT NULL) THEN sum(c.cost_usd) END AS cost_usd
    FROM @calls c WHERE c.job_id = o.job_id AND c.attempt = o.attempt
) weak
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(c.cost_usd IS NOT NULL) THEN sum(c.cost_usd) END AS cost_usd
    FROM @calls c
    WHERE c.job_id = coalesce(o.shadow_job_id, o.job_id)
        AND (o.shadow_job_id IS NOT NULL OR c.attempt > o.attempt)
) strong
ORDER BY o.seq DESC
"""


@dataclass(frozen=True)
class StatusCount:
    """The number of callers' jobs with one status."""

    status: str
    unverified: bool
    verdict: str | None  # of the last tier that was left; None: none was
    jobs: int


@dataclass(frozen=True)
class TierCost:
    """What a tier did for one kind of job."""

    tier: str
    kind: str  # answer (callers' jobs), shadow or judge
    attempts: int
    jobs: int  # that asked the tier
    served: int  # jobs whose answer is from the tier
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int
    latency_p50_s: float | None  # of an attempt


@dataclass(frozen=True)
class PurposeCost:
    """What the calls of one purpose cost."""

    purpose: str
    calls: int
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int


@dataclass(frozen=True)
class ComparedOutcome:
    """An answer of the first tier, compared with its reference."""

    seq: int
    job_id: UUID
    input: JSON  # None: removed, or of another account
    models: str  # that answered
    reference_by: str | None  # the model that gave the reference; None: a person
    served: bool
    differs: bool
    score: float | None
    signals: Mapping[str, float]
    inclusion: float  # the probability with which it was sampled
    first_usd: Decimal | None  # the cost of this answer; None: unknown
    later_usd: Decimal | None  # the cost of its reference; None: unknown


class Costs(NamedTuple):
    """The cost of a window's jobs, in USD, split in two ways with the same sum."""

    tiers: list[TierCost]
    purposes: list[PurposeCost]


class _Tier(NamedTuple):
    tier: str
    kind: str
    purpose: str
    calls: int
    attempts: int
    again: int
    cost_usd: Decimal
    unknown_cost_calls: int


class _Served(NamedTuple):
    tier: str
    kind: str
    jobs: int


class _Latency(NamedTuple):
    tier: str
    kind: str
    bin: int
    attempts: int
    latency_s: float


def statuses(connection: Connection[Any], window: Window) -> list[StatusCount]:
    """The number of jobs by status. Unverified ones, and those by the verdict of the last tier they
    left, are separate.
    """
    with snapshot(connection) as counted:
        return [
            *summed(connection, StatusCount, JOBS, _STATUSES, counted, window),
            *typed_rows(connection, StatusCount, LIVE, window.times()),
        ]


def costs(connection: Connection[Any], window: Window) -> Costs:
    """By tier and by purpose. The median latency is within 1%, and of the UTC days that the window
    touches.
    """
    with snapshot(connection) as counted:
        rows = summed(connection, _Tier, TIERS, _TIERS, counted, window)
        served = {
            (row.tier, row.kind): row.jobs
            for row in summed(connection, _Served, JOBS, _SERVED, counted, window)
        }
        medians = _medians(summed(connection, _Latency, LATENCIES, _LATENCIES, counted, window))
    tiers: dict[tuple[str, str], list[_Tier]] = defaultdict(list)
    purposes: dict[str, list[_Tier]] = defaultdict(list)
    for row in rows:
        tiers[row.tier, row.kind].append(row)
        if row.purpose:
            purposes[row.purpose].append(row)
    return Costs(
        [
            TierCost(
                tier=tier,
                kind=kind,
                attempts=sum(row.attempts for row in of_tier),
                jobs=sum(row.attempts - row.again for row in of_tier),
                served=served.get((tier, kind), 0),
                cost_usd=sum((row.cost_usd for row in of_tier), Decimal(0)),
                unknown_cost_calls=sum(row.unknown_cost_calls for row in of_tier),
                latency_p50_s=medians.get((tier, kind)),
            )
            for (tier, kind), of_tier in tiers.items()
        ],
        [
            PurposeCost(
                purpose,
                sum(row.calls for row in of_purpose),
                sum((row.cost_usd for row in of_purpose), Decimal(0)),
                sum(row.unknown_cost_calls for row in of_purpose),
            )
            for purpose, of_purpose in sorted(purposes.items())
        ],
    )


def _medians(rows: Iterable[_Latency]) -> dict[tuple[str, str], float]:
    """The median of each tier and kind, from bins in order: the mean of the bin that it is in."""
    bins: dict[tuple[str, str], list[_Latency]] = defaultdict(list)
    for row in rows:
        bins[row.tier, row.kind].append(row)
    return {key: _median(of_tier) for key, of_tier in bins.items()}


def _median(bins: list[_Latency]) -> float:
    attempts = sum(one.attempts for one in bins)
    # The two in the middle, which are the same one if the number is odd.
    middle = [_mean_at(bins, place) for place in ((attempts - 1) // 2, attempts // 2)]
    return sum(middle) / 2


def _mean_at(bins: list[_Latency], place: int) -> float:
    """The mean of the bin with the latency at this place, from 0."""
    for one in bins:
        if place < one.attempts:
            return one.latency_s / one.attempts
        place -= one.attempts
    raise AssertionError("the place is below the number of attempts")


def compared(
    connection: Connection[Any],
    window: Window,
    before: int | None,
    limit: int,
    account_id: int | None = None,
) -> list[ComparedOutcome]:
    """Compared outcomes with `seq` below `before`, the newest first. `input` is null for jobs of
    other accounts, if an account is given.
    """
    times = window.times()
    parameters = {**times, "before": before, "limit": limit, "account": account_id}
    return read_at_homes(
        connection,
        OUTCOMES,
        [up_to_now(times["floor"])],
        lambda statement: typed_rows(connection, ComparedOutcome, statement, parameters),
    )


def missed_by_judge(connection: Connection[Any], feature: str) -> float | None:
    """The share of differences that the judge misses, 0 to 1, as the feature's newest calibration
    knows it. None: unknown.
    """
    row = connection.execute(
        "SELECT document -> 'judge' -> 'missed' FROM calibrations WHERE feature = %s"
        " AND document -> 'judge' ->> 'missed' IS NOT NULL ORDER BY id DESC LIMIT 1",
        (feature,),
    ).fetchone()
    return None if row is None else row[0]
