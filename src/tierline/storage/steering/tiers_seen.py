"""Recent statistics of the tiers of feature versions, for decisions between tiers.

They are rolled up once a minute from the calls recorded since the last time, so that the cost
depends on new calls only. Only versions with a choice among tiers have them. A decision reads one
row per tier.
"""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.routing.later_tiers import TierStats
from tierline.storage.db.engine import within
from tierline.storage.db.homes import at_homes, up_to_now
from tierline.storage.reports.floors import floor

LATELY = 300  # attempts of each tier, within the last day
STATEMENT_S = 8.0  # of the sweep: longer than the lock timeout, which must not cause a skip
READ_S = 2.0

NAME = "tiers_seen"  # the name of its cursor and its lock
HOLD = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"

# The position of the last step. A first step begins with the last day.
CURSOR = """
SELECT greatest(
    (SELECT up_to FROM rollup_cursors WHERE name = %s), statement_timestamp() - interval '1 day')
"""

# By account, because the calls' index by time begins with the account. An attempt's first call is
# recorded with it. Some of these attempts have not ended yet: END handles them later.
BEGIN = """
WITH choices AS MATERIALIZED (
    SELECT id FROM feature_versions
    WHERE jsonb_array_length(document -> 'tiers') > 2
        OR document ->> 'latency_target_ms' IS NOT NULL
), begun AS MATERIALIZED (
    SELECT c.* FROM accounts CROSS JOIN LATERAL (
        SELECT job_id, attempt, booked_at FROM @calls c
        WHERE account_id = accounts.id AND booked_at > %(after)s AND number = 1
        ORDER BY booked_at LIMIT %(most)s
    ) c
    WHERE EXISTS (SELECT FROM choices)
    ORDER BY c.booked_at LIMIT %(most)s
), added AS (
    INSERT INTO tier_attempts (job_id, attempt, feature_version_id, tier, begun_at)
    SELECT job_id, attempt, feature_version_id, tier, booked_at FROM (
        SELECT b.job_id, b.attempt, j.feature_version_id, a.tier, b.booked_at, row_number() OVER (
            PARTITION BY j.feature_version_id, a.tier ORDER BY b.booked_at DESC) AS place
        FROM begun b
        JOIN @jobs j ON j.id = b.job_id
        JOIN @attempts a ON a.job_id = b.job_id AND a.number = b.attempt
        WHERE j.shadow_of IS NULL AND j.feature_version_id IN (SELECT id FROM choices)
    ) found WHERE place <= %(lately)s
    ON CONFLICT DO NOTHING
)
SELECT count(*), max(booked_at) FROM begun
"""

# A transaction's calls may become visible after those of a later one. So the last seconds are read
# again, unless a step is too full to reach them.
MOVE = """
INSERT INTO rollup_cursors (name, up_to) VALUES (%(name)s, CASE WHEN %(full)s THEN %(last)s
    ELSE statement_timestamp() - interval '5 s' END)
ON CONFLICT (name) DO UPDATE SET up_to = greatest(rollup_cursors.up_to, excluded.up_to)
"""

# An answer that escalated because no calibration exists yet says nothing about its tier.
END = """
WITH ended AS MATERIALIZED (
    SELECT s.job_id, s.attempt, a.verdict = 'passed' AS passed, a.latency_s, (
            SELECT CASE WHEN bool_and(c.cost_usd IS NOT NULL) THEN sum(c.cost_usd) END
            FROM calls c WHERE c.job_id = s.job_id AND c.attempt = s.attempt
        ) AS cost_usd,
        a.latency_s IS NOT NULL AND a.verdict NOT IN ('budget', 'plan', 'too_complex')
            AND NOT (a.verdict = 'low_confidence' AND EXISTS (
                SELECT FROM outcomes o
                WHERE o.job_id = s.job_id AND o.attempt = s.attempt AND o.score IS NULL)) AS counts
    FROM tier_attempts s JOIN attempts a ON a.job_id = s.job_id AND a.number = s.attempt
    WHERE s.passed IS NULL AND a.verdict IS NOT NULL
), dropped AS (
    DELETE FROM tier_attempts s USING ended e
    WHERE s.job_id = e.job_id AND s.attempt = e.attempt AND NOT e.counts
)
UPDATE tier_attempts s SET passed = e.passed, latency_s = e.latency_s, cost_usd = e.cost_usd
FROM ended e WHERE s.job_id = e.job_id AND s.attempt = e.attempt AND e.counts
"""

FORGET = """
DELETE FROM tier_attempts s USING (
    SELECT job_id, attempt, begun_at, row_number() OVER (
        PARTITION BY feature_version_id, tier, passed IS NULL ORDER BY begun_at DESC) AS place
    FROM tier_attempts
) old
WHERE s.job_id = old.job_id AND s.attempt = old.attempt
    AND (old.place > %(lately)s OR old.begun_at < statement_timestamp() - interval '1 day')
"""

SUM_UP = """
WITH summed AS MATERIALIZED (
    SELECT feature_version_id, tier, count(*) AS attempts, avg(passed::int)::float8 AS passes,
        CASE WHEN bool_and(cost_usd IS NOT NULL) THEN avg(cost_usd)::float8 END AS cost_usd,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_s) AS latency_s
    FROM tier_attempts WHERE passed IS NOT NULL GROUP BY 1, 2
), gone AS (
    DELETE FROM tiers_seen t WHERE NOT EXISTS (
        SELECT FROM summed s
        WHERE s.feature_version_id = t.feature_version_id AND s.tier = t.tier)
)
INSERT INTO tiers_seen (feature_version_id, tier, attempts, passes, cost_usd, latency_s)
SELECT * FROM summed
ON CONFLICT (feature_version_id, tier) DO UPDATE SET attempts = excluded.attempts,
    passes = excluded.passes, cost_usd = excluded.cost_usd, latency_s = excluded.latency_s,
    seen_at = excluded.seen_at
"""

# After a day without a roll-up, all figures count as unknown.
SEEN = """
SELECT feature_version_id, tier, attempts, passes, cost_usd, latency_s FROM tiers_seen
WHERE seen_at > statement_timestamp() - interval '1 day'
"""


def note_begun(connection: Connection[Any], most: int) -> int:
    """Record the attempts that began since the last time, up to `most` new first calls. Returns how
    many there were; 0 also while another process does this.
    """
    with within(connection, STATEMENT_S):
        if not _alone(connection):
            return 0
        row = connection.execute(CURSOR, (NAME,)).fetchone()
        assert row is not None, "a SELECT of one expression gives one row"
        statement = at_homes(connection, BEGIN, up_to_now(floor(connection, row[0])))
        row = connection.execute(
            statement, {"after": row[0], "most": most, "lately": LATELY}
        ).fetchone()
        assert row is not None, "a count is one row"
        count, last = row
        connection.execute(MOVE, {"name": NAME, "full": count >= most, "last": last})
    return int(count)


def pass_over(connection: Connection[Any]) -> None:
    """Skip to now: the earlier calls could not be read in time."""
    connection.execute(MOVE, {"name": NAME, "full": False, "last": None})


def sum_up(connection: Connection[Any]) -> None:
    """Record how attempts ended, and compute each tier's statistics."""
    with within(connection, STATEMENT_S):
        if not _alone(connection):
            return
        connection.execute(END)
        connection.execute(FORGET, {"lately": LATELY})
        connection.execute(SUM_UP)


def tiers_seen(connection: Connection[Any]) -> Mapping[tuple[int, str], TierStats]:
    """The statistics of each tier, by feature version id and tier name."""
    with within(connection, READ_S), connection.cursor(row_factory=dict_row) as cursor:
        return {
            (row["feature_version_id"], row["tier"]): TierStats(
                row["tier"], row["attempts"], row["passes"], row["cost_usd"], row["latency_s"]
            )
            for row in cursor.execute(SEEN)
        }


def _alone(connection: Connection[Any]) -> bool:
    row = connection.execute(HOLD, (NAME,)).fetchone()
    return row is not None and bool(row[0])
