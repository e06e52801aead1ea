"""What a feature's jobs used and cost, by tier and by job. Reads only."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.storage.reports.facts import JOBS, TIERS
from tierline.storage.reports.feature_sums import Window, summed
from tierline.storage.reports.uncounted import snapshot

# The sample standard deviation, from the number, the sum and the sum of squares.
_MEANS = """
sum(known_usd) / nullif(sum(known), 0) AS cost_usd,
    CASE WHEN sum(known) > 1 THEN sqrt(greatest(0, (sum(known_square_usd)
        - sum(known_usd) * sum(known_usd) / sum(known)) / (sum(known) - 1)))
    END AS cost_deviation_usd"""

# An attempt's cost is the sum of its calls'. Attempts with a call of unknown cost count separately.
_BY_TIER = f"""
SELECT tier,
    coalesce(sum(known + unknown) FILTER (WHERE kind = 'answer'), 0)::bigint AS attempts,
    sum(known)::bigint AS known_attempts, sum(unknown)::bigint AS unknown_attempts, {_MEANS},
    sum(input_tokens) / nullif(sum(input_attempts), 0) AS input_tokens,
    sum(cached_input_tokens) / nullif(sum(cached_input_attempts), 0) AS cached_input_tokens,
    sum(output_tokens) / nullif(sum(known + unknown), 0) AS output_tokens
FROM feature_rows WHERE kind <> 'judge' GROUP BY tier HAVING sum(known + unknown) > 0
"""

_BY_JOB = f"""
SELECT coalesce(sum(jobs), 0)::bigint AS jobs,
    coalesce(sum(jobs) FILTER (WHERE first_tier NOT IN ('', %(last)s)), 0)::bigint
        AS began_before_last,
    coalesce(sum(jobs) FILTER (WHERE verdict <> ''), 0)::bigint AS escalated,
    coalesce(sum(known), 0)::bigint AS known_jobs, {_MEANS}
FROM feature_rows WHERE kind = 'answer' AND feature_version_id = %(version_id)s
"""

# Calls for comparing answers, which no caller requested.
_UPKEEP = """
SELECT purpose, sum(jobs)::bigint AS jobs, sum(calls)::bigint AS calls, sum(cost_usd) AS cost_usd,
    sum(unknown_cost_calls)::bigint AS unknown_cost_calls
FROM feature_rows WHERE kind <> 'answer' AND purpose <> '' GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class TierMeans:
    """The attempts on a tier, and the means of those attempts."""

    tier: str
    attempts: int  # of callers' jobs
    known_attempts: int  # with a known cost, those of shadows included
    unknown_attempts: int
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
    known_jobs: int  # with a known cost
    cost_usd: Decimal | None
    cost_deviation_usd: Decimal | None


@dataclass(frozen=True)
class UpkeepSum:
    """The cost of the calls of one purpose that compare answers."""

    purpose: str
    jobs: int
    calls: int
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int


def by_tier(connection: Connection[Any], window: Window) -> list[TierMeans]:
    """For each tier: its attempts with a call. Shadows' costs are included, their number is not."""
    with snapshot(connection) as counted:
        return summed(connection, TierMeans, TIERS, _BY_TIER, counted, window)


def upkeep(connection: Connection[Any], window: Window) -> list[UpkeepSum]:
    """The calls of shadows and judges by purpose."""
    with snapshot(connection) as counted:
        return summed(connection, UpkeepSum, TIERS, _UPKEEP, counted, window)


def by_job(connection: Connection[Any], window: Window, version_id: int, last: str) -> JobMeans:
    """Of a version's ended jobs: how many began before the last tier, how many escalated, and their
    cost.
    """
    with snapshot(connection) as counted:
        more = {"version_id": version_id, "last": last}
        (row,) = summed(connection, JobMeans, JOBS, _BY_JOB, counted, window, **more)
    return row
