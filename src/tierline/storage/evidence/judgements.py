"""Outcomes that a judge compares, and the calls that ask it."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

AGAIN_S = 300.0  # after so long whoever took an outcome is thought to be gone, or to have failed
MOST_TRIES = 3

# Of any number that take at once, each takes others. Its reference is there, as in references.OPEN.
TAKE = """
WITH due AS (
    SELECT o.job_id, o.attempt, r.id AS reference_job, j.feature_version_id
    FROM outcomes o
    JOIN jobs r ON r.id = coalesce(o.shadow_job_id, CASE WHEN NOT o.served THEN o.job_id END)
    JOIN jobs j ON j.id = o.job_id
    WHERE o.judge IS NOT NULL AND o.judged_at IS NULL AND o.drawn AND NOT o.shadow_due
        AND r.completed_at IS NOT NULL
        AND (o.judge_due_at IS NULL OR o.judge_due_at < clock_timestamp())
    ORDER BY o.seq LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
), taken AS (
    UPDATE outcomes o SET judge_tries = o.judge_tries + 1,
        judge_due_at = clock_timestamp() + make_interval(secs => %(again_s)s)
    FROM due WHERE o.job_id = due.job_id AND o.attempt = due.attempt
    RETURNING o.job_id, o.attempt, o.judge, o.judge_tries, o.shadow_job_id, due.reference_job,
        due.feature_version_id
)
SELECT t.*, q.input, own.output, own.job_id IS NOT NULL AS has_output, later.output AS reference,
    later.job_id IS NOT NULL AND NOT r.unverified AS has_reference,
    r.blocked_reason IS NOT NULL AS blocked, a.tier AS reference_tier
FROM taken t
JOIN jobs r ON r.id = t.reference_job
JOIN job_requests q ON q.job_id = t.job_id
LEFT JOIN answers own ON own.job_id = t.job_id AND own.attempt = t.attempt
LEFT JOIN answers later ON later.job_id = r.id AND later.attempt = r.answer_attempt
LEFT JOIN attempts a ON a.job_id = r.id AND a.number = r.answer_attempt
"""


def take_due(connection: Connection[Any], most: int) -> list[dict[str, Any]]:
    """Up to `most` outcomes to be judged, which nobody else takes for AGAIN_S."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(TAKE, {"most": most, "again_s": AGAIN_S}).fetchall()


def judged(connection: Connection[Any], outcome: Mapping[str, Any], same: bool | None) -> None:
    """Note what came of it; it is not judged again."""
    connection.execute(
        "UPDATE outcomes SET judged_at = clock_timestamp(), judged_same = %s"
        " WHERE job_id = %s AND attempt = %s AND judged_at IS NULL",
        (same, outcome["job_id"], outcome["attempt"]),
    )


def book_call(
    connection: Connection[Any], outcome: Mapping[str, Any], feature: str, *, swapped: bool
) -> int:
    """Book a call before it is sent; its id."""
    row = connection.execute(
        "INSERT INTO judge_calls (feature, job_id, attempt, swapped, model)"
        " VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (feature, outcome["job_id"], outcome["attempt"], swapped, outcome["judge"]),
    ).fetchone()
    assert row is not None
    return int(row[0])


def settle_call(connection: Connection[Any], id: int, **columns: Any) -> None:
    """Note how a call ended."""
    names = list(columns)
    connection.execute(
        f"UPDATE judge_calls SET {', '.join(f'{name} = %({name})s' for name in names)}"
        " WHERE id = %(id)s",
        {**columns, "id": id},
    )


def people_said(connection: Connection[Any], recipe: str, fingerprint: str) -> list[dict[str, Any]]:
    """Of outcomes that a judge held to say the same as their reference, those that were drawn for a
    label and have one: whether people say that the tier's answer is right, where that can be told.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            SELECT o.job_id, o.inclusion, own.output, said.expected,
                said.expected IS NOT NULL AS has_expected, said.correct,
                later.output AS served_output, later.job_id IS NOT NULL AS has_served_output
            FROM outcomes o
            JOIN jobs j ON j.id = o.job_id
            JOIN answers own ON own.job_id = o.job_id AND own.attempt = o.attempt
            LEFT JOIN answers later ON later.job_id = j.id AND later.attempt = j.answer_attempt
            LEFT JOIN LATERAL (
                SELECT f.expected, f.correct FROM feedback f WHERE f.job_id = o.job_id
                ORDER BY f.id DESC LIMIT 1
            ) said ON true
            WHERE o.recipe = %s AND o.fingerprint = %s AND o.drawn AND o.judged_same
                AND o.label_asked_at IS NOT NULL
            """,
            (recipe, fingerprint),
        ).fetchall()
