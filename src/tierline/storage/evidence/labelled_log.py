"""The labelled log that routers are trained from."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_rows
from tierline.storage.evidence.labels import FAILED

MOST_ROWS = 5_000  # of a training: the newest

# `is_right` is false if a later tier would improve the result: the first tier's answer failed a
# check, or differs from its reference. It is true if the answer was compared and agrees, if the
# later tiers' answers failed their checks too, or if people say that the later tier's served answer
# is wrong: then calling the first tier loses nothing. Answers that were served and not compared are
# left out. Of equal inputs the newest counts.
#
# Every failed answer is here, a compared one only if it was drawn. So each counts for as many
# inputs as the inverse of its chance to be drawn. `step_usd` is the cost of the later tiers, in
# this job or in its shadow, less the cost of the first tier; null if a cost is unknown.
LABELLED = f"""
WITH labelled AS (
    SELECT a.job_id, r.input,
        (NOT a.verdict IN ({FAILED}) AND NOT coalesce(o.differs, false))
            OR coalesce(j.error_code = 'checks_failed', false)
            OR coalesce(j.tier <> a.tier AND latest.correct = false, false) AS is_right,
        CASE WHEN a.verdict IN ({FAILED}) THEN 1.0 ELSE 1.0 / o.inclusion END::float8
            AS stands_for,
        a.number, o.shadow_job_id, a.started_at,
        row_number() OVER (PARTITION BY md5(r.input::text) ORDER BY a.started_at DESC) AS place
    FROM attempts a
    JOIN jobs j ON j.id = a.job_id
    JOIN feature_versions v ON v.id = j.feature_version_id
    JOIN job_requests r ON r.job_id = a.job_id
    LEFT JOIN outcomes o ON o.job_id = a.job_id AND o.attempt = a.number
    LEFT JOIN LATERAL (
        SELECT f.correct FROM feedback f WHERE f.job_id = a.job_id ORDER BY f.id DESC LIMIT 1
    ) latest ON true
    WHERE v.name = %(feature)s AND v.version > 0 AND a.tier = %(tier)s AND r.input IS NOT NULL
        AND j.shadow_of IS NULL
        AND (%(account)s::bigint IS NULL OR j.account_id = %(account)s)
        AND (a.verdict IN ({FAILED}) OR (o.drawn AND o.differs IS NOT NULL))
)
SELECT newest.job_id, newest.input, newest.is_right, newest.stands_for,
    (coalesce(own.later_usd, shadow.usd) - own.first_usd)::float8 AS step_usd
FROM (
    SELECT * FROM labelled WHERE place = 1 ORDER BY started_at DESC, job_id LIMIT %(most)s
) newest
LEFT JOIN LATERAL (
    SELECT sum(c.cost_usd) FILTER (WHERE c.attempt = newest.number) AS first_usd,
        sum(c.cost_usd) FILTER (WHERE c.attempt > newest.number) AS later_usd
    FROM calls c WHERE c.job_id = newest.job_id HAVING bool_and(c.cost_usd IS NOT NULL)
) own ON true
LEFT JOIN LATERAL (
    SELECT sum(c.cost_usd) AS usd FROM calls c
    WHERE c.job_id = newest.shadow_job_id HAVING bool_and(c.cost_usd IS NOT NULL)
) shadow ON true
ORDER BY newest.started_at DESC, newest.job_id
"""


@dataclass(frozen=True)
class LoggedInput:
    """An input that a tier was asked about."""

    job_id: UUID
    input: JSON
    is_right: bool  # no later tier would mend it
    stands_for: float  # inputs: the inverse of its probability to be drawn
    step_usd: float | None  # what asking the later tiers costs more; None: unknown


def labelled(
    connection: Connection[Any], feature: str, tier: str, account_id: int | None = None
) -> list[LoggedInput]:
    """Inputs with whether asking the tier loses nothing, the newest first; of one account or of
    all.
    """
    parameters = {"feature": feature, "tier": tier, "account": account_id, "most": MOST_ROWS}
    return typed_rows(connection, LoggedInput, LABELLED, parameters)
