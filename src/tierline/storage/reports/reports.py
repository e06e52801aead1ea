"""What a feature's jobs cost and how they were routed. Reads only; sums are computed on request."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import first_id_of
from tierline.base.json_text import JSON
from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.storage.db.rows import typed_rows
from tierline.storage.jobs.job_reads import UNKNOWN_COST

CLOCKS_APART = timedelta(hours=1)  # the most that clocks of the API and the database may differ

# from this many jobs on, they are read in one scan, with more memory and two processes
MANY = 50_000
SAMPLED = 100_000  # a median of more jobs is that of a sample of this size, drawn by id

# The feature's jobs submitted in the window, and the jobs that compared their answers. A judge's
# jobs belong to a draft; those of tries and evaluations do too, but are not included. Ids grow with
# time, so their index finds them.
JOBS = """
asked AS (
    SELECT j.*, CASE WHEN j.judged_attempt IS NOT NULL THEN 'judge'
        WHEN j.shadow_of IS NOT NULL THEN 'shadow' ELSE 'answer' END AS kind
    FROM jobs j
    WHERE (j.feature_version_id = ANY(ARRAY(
            SELECT id FROM feature_versions WHERE name = %(feature)s AND version > 0))
        OR j.judged_attempt IS NOT NULL AND j.feature_version_id = ANY(ARRAY(
            SELECT id FROM feature_versions WHERE name = %(feature)s AND version < 0)))
        AND j.id >= %(floor)s AND j.created_at >= %(since)s AND j.created_at < %(until)s
)
"""

# `verdict`: of the last tier that was left.
STATUSES = f"""
WITH {JOBS}
SELECT status, unverified, split_part(escalation_reason, ':', 1) AS verdict, count(*) AS jobs
FROM asked WHERE kind = 'answer' GROUP BY 1, 2, 3
"""

# A tier's cost is that of all attempts there, with callers' jobs, shadows and judges separate. The
# cost of each purpose comes from the same scan of the calls, in rows without a tier. An attempt is
# counted at its first call, so that one join is enough.
TIERS = f"""
WITH {JOBS}
SELECT a.tier, j.kind, c.purpose, count(c.job_id) AS calls,
    count(*) FILTER (WHERE coalesce(c.number, 1) = 1) AS attempts,
    count(*) FILTER (WHERE a.number = j.answer_attempt AND coalesce(c.number, 1) = 1) AS served,
    coalesce(sum(c.cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE c.job_id IS NOT NULL AND {UNKNOWN_COST}) AS unknown_cost_calls
FROM asked j JOIN attempts a ON a.job_id = j.id
LEFT JOIN calls c ON c.job_id = a.job_id AND c.attempt = a.number
GROUP BY GROUPING SETS ((a.tier, j.kind), (c.purpose))
"""

# If a tier is asked again, it is in the very next attempt. An answer that passed or failed a check
# never leads to that.
AGAIN = f"""
WITH {JOBS}
SELECT a.tier, j.kind, count(*) AS attempts
FROM asked j JOIN attempts a ON a.job_id = j.id
JOIN attempts b ON b.job_id = a.job_id AND b.number = a.number + 1 AND b.tier = a.tier
WHERE a.number < j.attempts AND (a.verdict IS NULL OR NOT a.verdict = ANY(%(final)s))
GROUP BY 1, 2
"""

MEDIANS = f"""
WITH {JOBS}
SELECT a.tier, j.kind,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY a.latency_s) AS latency_p50_s
FROM asked j JOIN attempts a ON a.job_id = j.id
WHERE abs(uuid_hash(j.id)::bigint) %% %(one_in)s = 0
GROUP BY 1, 2
"""

# Compared outcomes, each with the cost of both answers. `later_usd` is null if a call's cost is
# unknown.
OUTCOMES = """
WITH compared AS (
    SELECT o.* FROM outcomes o
    WHERE o.feature = %(feature)s AND o.drawn AND o.differs IS NOT NULL AND NOT o.repeated
        AND o.job_id >= %(floor)s AND o.created_at >= %(since)s AND o.created_at < %(until)s
        AND (%(before)s::bigint IS NULL OR o.seq < %(before)s)
    ORDER BY o.seq DESC LIMIT %(limit)s
)
SELECT CASE WHEN %(account)s::bigint IS NULL OR j.account_id = %(account)s THEN r.input END
        AS input,
    o.seq, o.job_id, o.served, o.inclusion, o.signals, o.score, o.differs, o.reference_by,
    o.models, weak.cost_usd AS first_usd, strong.cost_usd AS later_usd
FROM compared o JOIN job_requests r ON r.job_id = o.job_id JOIN jobs j ON j.id = o.job_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(c.cost_usd IS NOT NULL) THEN sum(c.cost_usd) END AS cost_usd
    FROM calls c WHERE c.job_id = o.job_id AND c.attempt = o.attempt
) weak
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(c.cost_usd IS NOT NULL) THEN sum(c.cost_usd) END AS cost_usd
    FROM calls c
    WHERE c.job_id = coalesce(o.shadow_job_id, o.job_id)
        AND (o.shadow_job_id IS NOT NULL OR c.attempt > o.attempt)
) strong
ORDER BY o.seq DESC
"""


@dataclass(frozen=True)
class Window:
    """Which jobs of a feature: those submitted in [since, until)."""

    feature: str
    since: datetime
    until: datetime

    def parameters(self) -> dict[str, Any]:
        return {**vars(self), "floor": first_id_of(self.since, CLOCKS_APART)}


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


class _Sum(NamedTuple):
    """A row of TIERS: of a tier and kind of job, or of a purpose."""

    tier: str | None
    kind: str | None
    purpose: str | None
    calls: int
    attempts: int
    served: int
    cost_usd: Decimal
    unknown_cost_calls: int


class _Again(NamedTuple):
    tier: str
    kind: str
    attempts: int


class _Median(NamedTuple):
    tier: str
    kind: str
    latency_p50_s: float | None


def statuses(connection: Connection[Any], window: Window) -> list[StatusCount]:
    """The number of jobs by status. Unverified ones, and those by the verdict of the last tier they
    left, are separate.
    """
    return typed_rows(connection, StatusCount, STATUSES, window.parameters())


def costs(connection: Connection[Any], window: Window, jobs: int) -> Costs:
    """By tier and by purpose. `jobs`: the approximate number of jobs of all kinds. If there are
    many, the median latency is of a sample.
    """
    final = sorted({Verdict.PASSED, Verdict.TOO_COMPLEX} | CHECK_FAILURES)
    given = {
        **window.parameters(),
        "final": [str(verdict) for verdict in final],
        "one_in": one_in(jobs, SAMPLED),
    }
    with sweeping(connection, jobs):
        rows = typed_rows(connection, _Sum, TIERS, given)
        again = {
            (row.tier, row.kind): row.attempts
            for row in typed_rows(connection, _Again, AGAIN, given)
        }
        medians = {
            (row.tier, row.kind): row.latency_p50_s
            for row in typed_rows(connection, _Median, MEDIANS, given)
        }
    tiers = [
        TierCost(
            tier=row.tier,
            kind=row.kind,
            attempts=row.attempts,
            jobs=row.attempts - again.get((row.tier, row.kind), 0),
            served=row.served,
            cost_usd=row.cost_usd,
            unknown_cost_calls=row.unknown_cost_calls,
            latency_p50_s=medians.get((row.tier, row.kind)),
        )
        for row in rows
        if row.tier is not None and row.kind is not None
    ]
    purposes = [
        PurposeCost(row.purpose, row.calls, row.cost_usd, row.unknown_cost_calls)
        for row in rows
        if row.tier is None and row.purpose is not None
    ]
    return Costs(tiers, sorted(purposes, key=lambda row: row.purpose))


def one_in(jobs: int, most: int) -> int:
    """The sampling step that leaves about `most` of the jobs."""
    return max(1, -(-jobs // most))


@contextmanager
def sweeping(connection: Connection[Any], jobs: int) -> Iterator[None]:
    """Allow statements to join whole tables if there are many jobs: a look-up for each of a million
    costs several times as much.
    """
    with connection.transaction():
        if jobs > MANY:
            connection.execute("SET LOCAL work_mem = '128MB'")
            connection.execute("SET LOCAL max_parallel_workers_per_gather = 2")
            connection.execute("SET LOCAL enable_nestloop = off")
        yield


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
    return typed_rows(
        connection,
        ComparedOutcome,
        OUTCOMES,
        {
            **window.parameters(),
            "before": before,
            "limit": limit,
            "account": account_id,
        },
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
