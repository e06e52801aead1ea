"""Outcomes of a calibrated confidence, and the calibrations that were made from them.

An outcome is written by the statement that ends its attempt (`claims.FINISH`). A calibration is a
row that is added; the newest of a fingerprint counts, and may be withdrawn.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.json_text import JSON

MOST_OUTCOMES = 50_000  # of one calibration, the newest: more would change nothing

COLUMNS = """id, feature, tier, recipe, fingerprint, models, attempt, reference, reference_models,
    max_error, confidence, threshold, samples, served, errors, bound, first_seq, last_seq,
    document, created_at, withdrawn_at, withdrawn_reason"""


@dataclass(frozen=True)
class Weighed:
    """What is kept of an answer under a calibrated confidence, for its row in `outcomes`."""

    feature: str
    recipe: str
    fingerprint: str
    models: str
    signals: Mapping[str, float]
    served: bool  # its arm: served, or escalated
    inclusion: float  # the probability with which it is drawn
    drawn: bool  # for a reference: the later tier's answer, which an escalated one gets anyway
    calibration_id: int | None = None  # None: there was none, and it escalated
    score: float | None = None


def in_force(connection: Connection[Any], fingerprint: str) -> Mapping[str, Any] | None:
    """What the newest calibration says; None when there is none, it is withdrawn, or it found that
    nothing can be promised.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            """
            SELECT id, threshold, withdrawn_at, document -> 'combination' AS combination
            FROM calibrations WHERE fingerprint = %s ORDER BY id DESC LIMIT 1
            """,
            (fingerprint,),
        ).fetchone()
    if row is None or row["threshold"] is None or row["withdrawn_at"] is not None:
        return None
    return row


def lock_recipe(connection: Connection[Any], recipe: str) -> None:
    """One calibration of a recipe at a time, to the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 3))", (recipe,))


def counts(connection: Connection[Any], recipe: str) -> list[dict[str, Any]]:
    """By fingerprint, the one with most new outcomes first: how many were drawn, how many of them
    no calibration has used, and how many calibrations there are.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            SELECT o.fingerprint, o.models, count(*) AS drawn,
                count(*) FILTER (WHERE o.seq > used.last_seq) AS fresh, used.attempts, used.last_seq
            FROM outcomes o CROSS JOIN LATERAL (
                SELECT coalesce(max(c.last_seq), 0) AS last_seq, count(*) AS attempts
                FROM calibrations c WHERE c.fingerprint = o.fingerprint
            ) used
            WHERE o.recipe = %s AND o.drawn
            GROUP BY o.fingerprint, o.models, used.attempts, used.last_seq
            ORDER BY fresh DESC, max(o.seq) DESC
            """,
            (recipe,),
        ).fetchall()


def outcomes(
    connection: Connection[Any], recipe: str, fingerprint: str, after: int
) -> list[dict[str, Any]]:
    """The drawn outcomes with `seq` above `after` whose job has ended, the oldest first.

    Of jobs with the same input only the first ever counts. `output` is what the tier said,
    `reference` what a later tier said that passed its checks (`reference_by` its model);
    `has_reference` is false where the job ended without one. What was removed is left out.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            WITH seen AS (
                SELECT o.*, j.status, j.unverified, j.answer_attempt, row_number() OVER (
                    PARTITION BY md5(r.input::text) ORDER BY o.seq
                ) AS place
                FROM outcomes o
                JOIN jobs j ON j.id = o.job_id
                JOIN job_requests r ON r.job_id = o.job_id
                WHERE o.recipe = %(recipe)s AND o.fingerprint = %(fingerprint)s AND o.drawn
                    AND r.input IS NOT NULL AND j.output_removed_at IS NULL
            )
            SELECT s.seq, s.job_id, s.signals, s.inclusion, s.served, s.score, s.calibration_id,
                own.output, later.output AS reference, a.model AS reference_by,
                later.job_id IS NOT NULL AS has_reference
            FROM seen s
            JOIN answers own ON own.job_id = s.job_id AND own.attempt = s.attempt
            LEFT JOIN answers later ON later.job_id = s.job_id AND later.attempt = s.answer_attempt
                AND s.answer_attempt <> s.attempt AND s.status = 'completed' AND NOT s.unverified
            LEFT JOIN attempts a ON a.job_id = later.job_id AND a.number = later.attempt
            WHERE s.place = 1 AND s.seq > %(after)s AND NOT s.served
                AND s.status IN ('completed', 'failed')
            ORDER BY s.seq DESC LIMIT %(most)s
            """,
            {
                "recipe": recipe,
                "fingerprint": fingerprint,
                "after": after,
                "most": MOST_OUTCOMES,
            },
        ).fetchall()[::-1]


def add_calibration(connection: Connection[Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The new row."""
    names = list(values)
    given = {
        name: json.dumps(value) if name == "document" else value for name, value in values.items()
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"""
            INSERT INTO calibrations ({", ".join(names)})
            VALUES ({", ".join(f"%({name})s" for name in names)}) RETURNING {COLUMNS}
            """,
            given,
        ).fetchone()
    assert row is not None
    return row


def list_calibrations(
    connection: Connection[Any], feature: str, most: int = 200
) -> list[dict[str, Any]]:
    """A feature's, the newest first. `newest` is true of what counts for its fingerprint."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            SELECT {COLUMNS}, id = max(id) OVER (PARTITION BY fingerprint) AS newest
            FROM calibrations WHERE feature = %s ORDER BY id DESC LIMIT %s
            """,
            (feature, most),
        ).fetchall()


def withdraw(
    connection: Connection[Any], feature: str, id: int, reason: str
) -> Mapping[str, Any] | None:
    """End it; None when the feature has no such one. One that ended stays as it ended."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            UPDATE calibrations SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()),
                withdrawn_reason = coalesce(withdrawn_reason, %s)
            WHERE feature = %s AND id = %s RETURNING {COLUMNS}
            """,
            (reason, feature, id),
        ).fetchone()


def parameters_of(weighed: Weighed | None) -> dict[str, JSON]:
    """For `claims.FINISH`; nothing where there is no outcome."""
    if weighed is None:
        return {}
    found = {f"o_{name}": value for name, value in vars(weighed).items()}
    return {**found, "o_signals": json.dumps(dict(weighed.signals))}
