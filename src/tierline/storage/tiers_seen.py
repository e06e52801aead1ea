"""How the tiers of a feature version lately fared: reads only, for decisions between tiers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from tierline.ids import first_id_of
from tierline.routing.cascade import Seen

LATELY = 300  # attempts of each tier
WITHIN = timedelta(days=1)  # by the jobs' ids, whose index keeps the look short

# An answer that was doubted since nothing was calibrated yet says nothing of its tier.
SEEN = """
SELECT name, count(*) AS attempts, avg((a.verdict = 'passed')::int)::float8 AS passes,
    CASE WHEN bool_and(a.cost_usd IS NOT NULL) THEN avg(a.cost_usd)::float8 END AS cost_usd,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY a.latency_s) AS latency_s
FROM unnest(%(tiers)s::text[]) AS name
CROSS JOIN LATERAL (
    SELECT a.verdict, a.latency_s, (
        SELECT CASE WHEN bool_and(c.cost_usd IS NOT NULL) THEN sum(c.cost_usd) END
        FROM calls c WHERE c.job_id = a.job_id AND c.attempt = a.number
    ) AS cost_usd
    FROM jobs j JOIN attempts a ON a.job_id = j.id
    WHERE j.feature_version_id = %(version)s AND j.id >= %(floor)s AND j.shadow_of IS NULL
        AND a.tier = name
        AND a.latency_s IS NOT NULL AND a.verdict NOT IN ('budget', 'plan', 'too_complex')
        AND NOT (a.verdict = 'low_confidence' AND EXISTS (
            SELECT FROM outcomes o
            WHERE o.job_id = a.job_id AND o.attempt = a.number AND o.score IS NULL))
    ORDER BY j.seq DESC LIMIT %(lately)s
) a
GROUP BY name
"""


def tiers_seen(connection: Connection[Any], version_id: int, tiers: Sequence[str]) -> list[Seen]:
    """Of each tier, in their order, its last attempts of a day; Seen(name) where there are none."""
    with connection.cursor(row_factory=class_row(Seen)) as cursor:
        rows = cursor.execute(
            SEEN,
            {
                "tiers": list(tiers),
                "version": version_id,
                "lately": LATELY,
                "floor": first_id_of(datetime.now(UTC), WITHIN),
            },
        ).fetchall()
    by_name = {row.name: row for row in rows}
    return [by_name.get(name, Seen(name)) for name in tiers]
