"""What a feature's jobs cost and how they were routed. Reads only; sums are made when asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.ids import first_id_of
from tierline.storage.job_reads import UNKNOWN_COST

CLOCKS_APART = timedelta(hours=1)  # at most, between who made a job's id and the database

# The feature's jobs that were submitted in the window. Ids grow with time, so that their index
# finds it; shadows are told apart by `shadow_of`.
JOBS = """
asked AS (
    SELECT j.* FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id
    WHERE v.name = %(feature)s AND v.version > 0 AND j.id >= %(floor)s
        AND j.created_at >= %(since)s AND j.created_at < %(until)s
)
"""

STATUSES = f"""
WITH {JOBS}
SELECT status, unverified, count(*) AS jobs FROM asked WHERE shadow_of IS NULL
GROUP BY status, unverified
"""

# A tier's cost is that of all attempts there, its own and those of shadows apart.
TIERS = f"""
WITH {JOBS}, made AS (
    SELECT a.tier, j.shadow_of IS NOT NULL AS shadow, j.id, a.number, a.latency_s,
        a.number = j.answer_attempt AS served, s.cost_usd, s.unknown_cost_calls
    FROM asked j JOIN attempts a ON a.job_id = j.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(c.cost_usd), 0) AS cost_usd,
            count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls
        FROM calls c WHERE c.job_id = j.id AND c.attempt = a.number
    ) s
)
SELECT tier, shadow, count(*) AS attempts, count(DISTINCT id) AS jobs,
    count(*) FILTER (WHERE served) AS served, sum(cost_usd) AS cost_usd,
    sum(unknown_cost_calls)::bigint AS unknown_cost_calls,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_s) AS latency_p50_s
FROM made GROUP BY tier, shadow
"""

ESCALATIONS = f"""
WITH {JOBS}
SELECT split_part(escalation_reason, ':', 1) AS verdict, count(*) AS jobs
FROM asked WHERE escalation_reason IS NOT NULL AND shadow_of IS NULL GROUP BY 1 ORDER BY 2 DESC, 1
"""

# Outcomes that were compared, each with what both answers cost. `later_usd` is null where a call's
# cost is unknown.
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
    """Which of a feature's jobs are meant: those submitted in [since, until)."""

    feature: str
    since: datetime
    until: datetime

    def parameters(self) -> dict[str, Any]:
        return {**vars(self), "floor": first_id_of(self.since, CLOCKS_APART)}


def statuses(connection: Connection[Any], window: Window) -> list[dict[str, Any]]:
    """How many jobs are in which status; `unverified` apart."""
    return _rows(connection, STATUSES, window.parameters())


def tiers(connection: Connection[Any], window: Window) -> list[dict[str, Any]]:
    """A row each tier and kind of job: its attempts, the jobs it served, their cost in USD."""
    return _rows(connection, TIERS, window.parameters())


def escalations(connection: Connection[Any], window: Window) -> list[dict[str, Any]]:
    """How many jobs left a tier last by which verdict, the most frequent first."""
    return _rows(connection, ESCALATIONS, window.parameters())


def compared(
    connection: Connection[Any],
    window: Window,
    before: int | None,
    limit: int,
    account_id: int | None = None,
) -> list[dict[str, Any]]:
    """Compared outcomes with `seq` below `before`, the newest first; `input` is null of those that
    are not the account's, where one is named.
    """
    return _rows(
        connection,
        OUTCOMES,
        {
            **window.parameters(),
            "before": before,
            "limit": limit,
            "account": account_id,
        },
    )


def _rows(
    connection: Connection[Any], statement: str, parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def newest_judge(connection: Connection[Any], feature: str) -> dict[str, Any] | None:
    """What the feature's newest calibration knew of its judge; None: there is none."""
    row = connection.execute(
        "SELECT document -> 'judge' FROM calibrations WHERE feature = %s"
        " AND document -> 'judge' ->> 'missed' IS NOT NULL ORDER BY id DESC LIMIT 1",
        (feature,),
    ).fetchone()
    return None if row is None else row[0]
