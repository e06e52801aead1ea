"""The labelled log that routers are trained from."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_rows
from tierline.storage.evidence.labels import FAILED

MOST_ROWS = 5_000  # of a training: the newest

# A row is an answer of the first tier of which something is known: it failed a check, or was drawn
# and compared with its reference, or was drawn for a label and people gave one. Answers that were
# served and of which nothing is known are left out. Of equal inputs the newest counts.
#
# Every failed answer is here, a compared one only if it was drawn. So each of these counts for as
# many inputs as the inverse of its chance to be drawn. `step_usd` is the cost of the later tiers,
# in this job or in its shadow, less the cost of the first tier; null if a cost is unknown.
LABELLED = f"""
WITH labelled AS (
    SELECT a.job_id, r.input, a.verdict IN ({FAILED}) AS failed, o.differs,
        coalesce(j.error_code = 'checks_failed', false) AS later_failed,
        CASE WHEN a.verdict IN ({FAILED}) THEN 1.0 WHEN o.differs IS NOT NULL
            THEN 1.0 / o.inclusion END::float8 AS stands_for,
        a.number, o.shadow_job_id, a.started_at, j.answer_attempt,
        latest.job_id IS NOT NULL AS has_label, latest.expected, latest.correct,
        row_number() OVER (PARTITION BY md5(r.input::text) ORDER BY a.started_at DESC) AS place
    FROM attempts a
    JOIN jobs j ON j.id = a.job_id
    JOIN feature_versions v ON v.id = j.feature_version_id
    JOIN job_requests r ON r.job_id = a.job_id
    LEFT JOIN outcomes o ON o.job_id = a.job_id AND o.attempt = a.number
    LEFT JOIN LATERAL (
        SELECT f.job_id, f.expected, f.correct FROM feedback f
        WHERE f.job_id = a.job_id ORDER BY f.id DESC LIMIT 1
    ) latest ON latest.expected IS NOT NULL OR latest.correct IS NOT NULL
    WHERE v.name = %(feature)s AND v.version > 0 AND a.tier = %(tier)s AND r.input IS NOT NULL
        AND j.shadow_of IS NULL
        AND (%(account)s::bigint IS NULL OR j.account_id = %(account)s)
        AND (a.verdict IN ({FAILED}) OR (o.drawn AND (o.differs IS NOT NULL
            OR (o.label_asked_at IS NOT NULL AND latest.job_id IS NOT NULL))))
)
SELECT newest.job_id, newest.input, newest.failed, newest.differs, newest.later_failed,
    newest.stands_for, (coalesce(own.later_usd, shadow.usd) - own.first_usd)::float8 AS step_usd,
    newest.has_label, newest.expected, newest.expected IS NOT NULL AS has_expected, newest.correct,
    answer.output, served.output AS served_output, served.job_id IS NOT NULL AS has_served_output,
    CASE WHEN newest.answer_attempt > newest.number THEN served.output
        ELSE compared.output END AS later_output,
    coalesce(newest.answer_attempt > newest.number, false) OR compared.job_id IS NOT NULL
        AS has_later_output,
    coalesce(newest.answer_attempt > newest.number, false) AS later_served
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
LEFT JOIN answers answer ON newest.has_label
    AND answer.job_id = newest.job_id AND answer.attempt = newest.number
LEFT JOIN answers served ON newest.has_label
    AND served.job_id = newest.job_id AND served.attempt = newest.answer_attempt
LEFT JOIN LATERAL (
    SELECT w.job_id, w.output FROM attempts b
    JOIN answers w ON w.job_id = b.job_id AND w.attempt = b.number
    WHERE newest.has_label AND b.job_id = newest.shadow_job_id AND b.verdict = 'passed'
    ORDER BY b.number DESC LIMIT 1
) compared ON true
ORDER BY newest.started_at DESC, newest.job_id
"""

ANSWERED = """
SELECT count(DISTINCT md5(r.input::text)) FROM attempts a
JOIN jobs j ON j.id = a.job_id
JOIN feature_versions v ON v.id = j.feature_version_id
JOIN job_requests r ON r.job_id = a.job_id
WHERE v.name = %(feature)s AND v.version > 0 AND a.tier = %(tier)s AND r.input IS NOT NULL
    AND j.shadow_of IS NULL AND (%(account)s::bigint IS NULL OR j.account_id = %(account)s)
    AND a.verdict IN ('passed', 'low_confidence')
    AND (%(since)s::uuid IS NULL OR a.job_id >= %(since)s)
"""


@dataclass(frozen=True)
class LoggedAnswer:
    """An answer of the first tier, with what is known about it.

    The contents of answers are only there if people labelled the job.
    """

    job_id: UUID
    input: JSON
    failed: bool  # a check
    differs: bool | None  # from its reference; None: not compared
    later_failed: bool  # the later tiers' answers failed their checks too
    stands_for: float | None  # inputs: the inverse of its chance to be drawn; None: only labelled
    step_usd: float | None  # what asking the later tiers costs more; None: unknown
    has_label: bool  # of a person
    expected: JSON
    has_expected: bool
    correct: bool | None  # about `served_output`; None: not given
    output: JSON
    served_output: JSON  # what the caller got
    has_served_output: bool
    later_output: JSON  # of a later tier, in this job or in its shadow
    has_later_output: bool
    later_served: bool  # what the caller got is a later tier's


def labelled(
    connection: Connection[Any], feature: str, tier: str, account_id: int | None = None
) -> list[LoggedAnswer]:
    """The tier's answers of which something is known, newest first; of one account or of all."""
    parameters = {"feature": feature, "tier": tier, "account": account_id, "most": MOST_ROWS}
    return typed_rows(connection, LoggedAnswer, LABELLED, parameters)


def count_answered(
    connection: Connection[Any],
    feature: str,
    tier: str,
    account_id: int | None = None,
    since: UUID | None = None,
) -> int:
    """How many different inputs the tier answered so that the checks passed; of one account or of
    all, from the job `since` on.
    """
    parameters = {"feature": feature, "tier": tier, "account": account_id, "since": since}
    row = connection.execute(ANSWERED, parameters).fetchone()
    assert row is not None
    return int(row[0])
