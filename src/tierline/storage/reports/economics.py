"""What a feature's jobs used and cost, by tier and by job. Reads only."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.storage.db.rows import typed_row, typed_rows
from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.storage.reports.reports import JOBS, Window, one_in

SAMPLED = 50_000  # jobs: their means are as good as those of a million, within the interval

# An attempt's cost is the sum of its calls'. Attempts with a call of unknown cost count separately.
BY_TIER = f"""
WITH {JOBS}, made AS (
    SELECT a.tier, j.kind, a.job_id, a.number,
        sum(c.cost_usd) AS cost_usd, bool_or(c.cost_usd IS NULL) AS unknown,
        sum(c.input_tokens) AS input_tokens, sum(c.cached_input_tokens) AS cached_input_tokens,
        sum(coalesce(c.output_tokens, 0) + coalesce(c.reasoning_tokens, 0)) AS output_tokens
    FROM asked j JOIN attempts a ON a.job_id = j.id
    JOIN calls c ON c.job_id = a.job_id AND c.attempt = a.number
    WHERE a.ended_at IS NOT NULL AND j.kind <> 'judge'
        AND abs(uuid_hash(j.id)::bigint) %% %(one_in)s = 0
    GROUP BY 1, 2, 3, 4
)
SELECT tier, count(*) FILTER (WHERE kind = 'answer') AS attempts,
    count(*) FILTER (WHERE NOT unknown) AS known,
    count(*) FILTER (WHERE unknown) AS unknown,
    avg(cost_usd) FILTER (WHERE NOT unknown) AS cost_usd,
    stddev_samp(cost_usd) FILTER (WHERE NOT unknown) AS cost_deviation_usd,
    avg(input_tokens) AS input_tokens, avg(cached_input_tokens) AS cached_input_tokens,
    avg(output_tokens) AS output_tokens
FROM made GROUP BY tier
"""

BY_JOB = f"""
WITH {JOBS}, made AS (
    SELECT j.id, j.escalation_reason IS NOT NULL AS escalated, sum(c.cost_usd) AS cost_usd,
        bool_or(c.cost_usd IS NULL AND c.job_id IS NOT NULL) AS unknown,
        bool_or(c.attempt = 1 AND a.tier <> %(last)s) AS began_before
    FROM asked j LEFT JOIN calls c ON c.job_id = j.id
    LEFT JOIN attempts a ON a.job_id = c.job_id AND a.number = c.attempt AND c.attempt = 1
    WHERE j.kind = 'answer' AND j.completed_at IS NOT NULL
        AND j.feature_version_id = %(version_id)s
        AND abs(uuid_hash(j.id)::bigint) %% %(one_in)s = 0
    GROUP BY 1, 2
)
SELECT count(*) AS jobs, count(*) FILTER (WHERE began_before) AS began_before_last,
    count(*) FILTER (WHERE escalated) AS escalated,
    count(*) FILTER (WHERE NOT unknown) AS known,
    avg(coalesce(cost_usd, 0)) FILTER (WHERE NOT unknown) AS cost_usd,
    stddev_samp(coalesce(cost_usd, 0)) FILTER (WHERE NOT unknown) AS cost_deviation_usd
FROM made
"""

# Calls for comparing answers, which no caller asked for.
UPKEEP = f"""
WITH {JOBS}
SELECT c.purpose, count(DISTINCT j.id) AS jobs, count(*) AS calls,
    coalesce(sum(c.cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls
FROM asked j JOIN calls c ON c.job_id = j.id
WHERE j.kind <> 'answer'
GROUP BY 1 ORDER BY 1
"""

COUNT = f"WITH {JOBS} SELECT count(*) FROM asked"


@dataclass(frozen=True)
class TierMeans:
    """The attempts on a tier, and the means of those attempts."""

    tier: str
    attempts: int  # of callers' jobs
    known: int  # attempts with a known cost, those of shadows included
    unknown: int
    cost_usd: Decimal | None
    cost_deviation_usd: Decimal | None
    input_tokens: Decimal | None  # without those read from a cache
    cached_input_tokens: Decimal | None
    output_tokens: Decimal | None  # with reasoning tokens


@dataclass(frozen=True)
class JobMeans:
    """The ended jobs of a version, and their mean cost."""

    jobs: int
    began_before_last: int  # jobs that began on a tier before the last
    escalated: int
    known: int  # jobs with a known cost
    cost_usd: Decimal | None
    cost_deviation_usd: Decimal | None


@dataclass(frozen=True)
class UpkeepSum:
    """What the calls of one purpose cost that compare answers."""

    purpose: str
    jobs: int
    calls: int
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int


def sampled(connection: Connection[Any], window: Window) -> int:
    """The sampling step over job ids that leaves about SAMPLED jobs."""
    row = connection.execute(COUNT, window.parameters()).fetchone()
    assert row is not None
    return one_in(row[0], SAMPLED)


def by_tier(connection: Connection[Any], window: Window, every: int) -> list[TierMeans]:
    """For each tier: its attempts with a call, in a sample of every so-many-th job. Shadows' costs
    are included, but not their number.
    """
    return typed_rows(connection, TierMeans, BY_TIER, {**window.parameters(), "one_in": every})


def upkeep(connection: Connection[Any], window: Window) -> list[UpkeepSum]:
    """The calls of shadows and judges by purpose; of all of them, not of a sample."""
    return typed_rows(connection, UpkeepSum, UPKEEP, window.parameters())


def by_job(
    connection: Connection[Any], window: Window, version_id: int, last: str, every: int
) -> JobMeans:
    """Of a version's ended jobs: how many began before the last tier, how many escalated, and their
    cost, in a sample of every so-many-th.
    """
    given = {**window.parameters(), "version_id": version_id, "last": last, "one_in": every}
    row = typed_row(connection, JobMeans, BY_JOB, given)
    assert row is not None, "an aggregate without GROUP BY gives one row"
    return row
