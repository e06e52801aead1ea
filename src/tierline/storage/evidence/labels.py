"""The known labels of a feature's inputs, from people or from the last tier."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import first_id_of
from tierline.base.json_text import JSON
from tierline.rules.verdicts import WRONG
from tierline.storage.db.rows import typed_rows

MOST_ROWS = 10_000  # the newest
FAILED = ", ".join(f"'{verdict}'" for verdict in sorted(WRONG))
"""The verdicts on wrong answers, as a SQL list."""

OUTCOME_WITH_LABEL = """
FROM outcomes o
JOIN jobs j ON j.id = o.job_id
JOIN answers own ON own.job_id = o.job_id AND own.attempt = o.attempt
LEFT JOIN answers later ON later.job_id = j.id AND later.attempt = j.answer_attempt
LEFT JOIN LATERAL (
    SELECT f.expected, f.correct FROM feedback f WHERE f.job_id = o.job_id
    ORDER BY f.id DESC LIMIT 1
) latest ON true
"""
"""Outcomes o with their own answer, the served answer and the last label that a person gave."""

# A person's label takes precedence over the last tier's answer. An earlier tier's answer is never a
# label. `inclusion` is the probability that the job's input got a label, independent of the label:
# that of its first outcome if that was drawn, or 1 if the last tier is asked first. A job whose
# first answer failed a check has no outcome but always a label, and `failed` is true. Null: not
# drawn, or drawn for people alone.
LABELS = f"""
WITH jobs_of AS (
    SELECT j.id, j.feature_version_id, v.document ->> 'routing' AS routing
    FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id
    WHERE v.name = %(feature)s AND v.version > 0 AND j.shadow_of IS NULL
        AND j.completed_at IS NOT NULL AND j.input_removed_at IS NULL
        AND (%(account)s::bigint IS NULL OR j.account_id = %(account)s)
    ORDER BY j.id DESC LIMIT %(most)s
)
SELECT j.id AS job_id, j.feature_version_id, r.input,
    CASE WHEN latest.expected IS NOT NULL THEN latest.expected ELSE last.output END AS expected,
    CASE WHEN latest.expected IS NULL THEN last.model END AS said_by,
    CASE WHEN o.drawn AND NOT o.for_label THEN o.inclusion
        WHEN j.routing LIKE 'frontier_%%' AND first.tier = %(last)s THEN 1.0 END AS inclusion,
    coalesce(o.drawn IS NULL AND first.tier <> %(last)s AND first.verdict IN ({FAILED}), false)
        AS failed
FROM jobs_of j
JOIN job_requests r ON r.job_id = j.id AND r.input IS NOT NULL
LEFT JOIN attempts first ON first.job_id = j.id AND first.number = 1
LEFT JOIN LATERAL (
    SELECT o.drawn, o.inclusion, o.for_label, o.shadow_job_id FROM outcomes o WHERE o.job_id = j.id
    ORDER BY o.attempt LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT f.expected FROM feedback f WHERE f.job_id = j.id AND f.expected IS NOT NULL
    ORDER BY f.id DESC LIMIT 1
) latest ON true
LEFT JOIN LATERAL (
    SELECT w.output, a.model FROM attempts a
    JOIN answers w ON w.job_id = a.job_id AND w.attempt = a.number
    WHERE a.job_id IN (j.id, o.shadow_job_id) AND a.tier = %(last)s AND a.verdict = 'passed'
    ORDER BY a.started_at DESC LIMIT 1
) last ON true
WHERE latest.expected IS NOT NULL OR last.model IS NOT NULL
ORDER BY j.id DESC
"""


def count_labels(connection: Connection[Any], feature: str, last_tier: str) -> int:
    """How many inputs of the newest jobs have a label, in all accounts. An input counts each time
    that it was asked.
    """
    row = connection.execute(
        f"SELECT count(*) FROM ({LABELS}) labels",
        {"feature": feature, "last": last_tier, "account": None, "most": MOST_ROWS},
    ).fetchone()
    assert row is not None
    return int(row[0])


def labelled_since(connection: Connection[Any], feature: str, at: datetime, most: int) -> int:
    """How many jobs that were submitted after that time have feedback; `most` are counted."""
    row = connection.execute(
        "SELECT count(*) FROM (SELECT DISTINCT f.job_id FROM feedback f"
        " JOIN jobs j ON j.id = f.job_id"
        " JOIN feature_versions v ON v.id = j.feature_version_id AND v.name = %s"
        " WHERE f.job_id >= %s AND j.shadow_of IS NULL LIMIT %s) labelled",
        (feature, first_id_of(at, timedelta(0)), most),
    ).fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True)
class LabelRow:
    """The input of a job, with its label."""

    job_id: UUID
    feature_version_id: int
    input: JSON
    expected: JSON
    said_by: str | None  # the model that gave the label; None: a person
    inclusion: float | None  # the probability with which it got a label; None: it was not drawn
    failed: bool  # the first answer failed a check, so that it always gets a label


def labels(
    connection: Connection[Any], feature: str, last_tier: str, account_id: int | None
) -> list[LabelRow]:
    """Inputs of the newest jobs with their labels, the newest first; of one account or of all."""
    parameters = {"feature": feature, "last": last_tier, "account": account_id, "most": MOST_ROWS}
    return typed_rows(connection, LabelRow, LABELS, parameters)
