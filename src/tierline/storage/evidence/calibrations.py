"""Calibrations. `outcomes` has what they are computed from.

Calibrations are only added. The newest of a fingerprint counts, and may be withdrawn.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_row, typed_rows

COLUMNS = """id, feature, tier, recipe, fingerprint, models, attempt, reference, reference_models,
    max_error, confidence, threshold, samples, served, errors, bound, first_seq, last_seq,
    document, created_at, withdrawn_at, withdrawn_reason"""


@dataclass(frozen=True)
class CalibrationInForce:
    """What an answer is compared with before it is served."""

    id: int
    threshold: float
    combination: JSON
    least_likeness: float | None  # None: novelty is not checked
    vectors: bytes | None  # of its inputs; None: not read


@dataclass(frozen=True)
class NewCalibration:
    """A calibration to store."""

    feature: str
    tier: str
    recipe: str
    fingerprint: str
    models: str  # that answered
    attempt: int  # number of this calibration, from 1
    reference: str  # model or human
    reference_models: list[str]
    max_error: float  # promised, 0 to 1
    confidence: float  # 0 to 1
    threshold: float | None  # None: nothing can be promised
    samples: int  # that it was tested on
    served: int | None  # of those, at the threshold
    errors: int | None  # of the served
    bound: float | None  # the highest error rate compatible with the test
    first_seq: int  # of the outcomes that it used; 0: none
    last_seq: int
    document: Mapping[str, JSON]
    vectors: bytes | None  # the embeddings of its inputs


@dataclass(frozen=True)
class CalibrationRow:
    """A stored calibration."""

    id: int
    feature: str
    tier: str
    recipe: str
    fingerprint: str
    models: str
    attempt: int
    reference: str
    reference_models: Sequence[str]
    max_error: float
    confidence: float
    threshold: float | None
    samples: int
    served: int | None
    errors: int | None
    bound: float | None
    first_seq: int
    last_seq: int
    document: JSON
    created_at: datetime
    withdrawn_at: datetime | None
    withdrawn_reason: str | None
    newest: bool = True  # the one that counts for its fingerprint


def in_force(
    connection: Connection[Any], fingerprint: str, read_before: int | None
) -> CalibrationInForce | None:
    """The newest calibration's content; None if there is none, it is withdrawn, or it guarantees
    nothing. Embeddings are not read again if it is the one `read_before`.
    """
    return typed_row(
        connection,
        CalibrationInForce,
        """
        SELECT id, threshold, combination, least_likeness, vectors FROM (
            SELECT id, threshold, withdrawn_at, document -> 'combination' AS combination,
                document -> 'least_likeness' AS least_likeness,
                CASE WHEN id IS DISTINCT FROM %s THEN vectors END AS vectors
            FROM calibrations WHERE fingerprint = %s ORDER BY id DESC LIMIT 1
        ) newest WHERE threshold IS NOT NULL AND withdrawn_at IS NULL
        """,
        (read_before, fingerprint),
    )


def ids_in_force(connection: Connection[Any], recipe: str) -> set[int]:
    """The recipe's calibrations that promise something now, one per fingerprint at most."""
    rows = connection.execute(
        """
        SELECT id FROM (
            SELECT DISTINCT ON (fingerprint) id, threshold, withdrawn_at FROM calibrations
            WHERE recipe = %s ORDER BY fingerprint, id DESC
        ) newest WHERE threshold IS NOT NULL AND withdrawn_at IS NULL
        """,
        (recipe,),
    ).fetchall()
    return {id for (id,) in rows}


def deciding(connection: Connection[Any], recipes: Sequence[str]) -> list[str]:
    """The calibrations in force of these recipes, by name, and the routers before their tiers."""
    rows = connection.execute(
        """
        SELECT 'calibration ' || id FROM (
            SELECT DISTINCT ON (fingerprint) id, threshold, withdrawn_at FROM calibrations
            WHERE recipe = ANY(%(recipes)s) ORDER BY fingerprint, id DESC
        ) newest WHERE threshold IS NOT NULL AND withdrawn_at IS NULL
        UNION ALL
        SELECT 'router ' || max(id) FROM routers
        WHERE recipe = ANY(%(recipes)s) AND withdrawn_at IS NULL GROUP BY recipe
        """,
        {"recipes": list(recipes)},
    ).fetchall()
    return sorted(name for (name,) in rows)


def lock_recipe(connection: Connection[Any], recipe: str) -> None:
    """One calibration of a recipe at a time, to the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 3))", (recipe,))


def count_of_recipe(connection: Connection[Any], recipe: str) -> int:
    """The number of calibrations of the recipe, for all models."""
    row = connection.execute(
        "SELECT count(*) FROM calibrations WHERE recipe = %s", (recipe,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_calibration(connection: Connection[Any], new: NewCalibration) -> CalibrationRow:
    """The new row."""
    values = vars(new) | {"document": json.dumps(new.document)}
    row = typed_row(
        connection,
        CalibrationRow,
        f"""
        INSERT INTO calibrations ({", ".join(values)})
        VALUES ({", ".join(f"%({name})s" for name in values)}) RETURNING {COLUMNS}
        """,
        values,
    )
    assert row is not None, "an INSERT of one row returns it"
    return row


def list_calibrations(
    connection: Connection[Any], feature: str, most: int = 200
) -> list[CalibrationRow]:
    """A feature's calibrations, the newest first."""
    return typed_rows(
        connection,
        CalibrationRow,
        f"""
        SELECT {COLUMNS}, id = max(id) OVER (PARTITION BY fingerprint) AS newest
        FROM calibrations WHERE feature = %s ORDER BY id DESC LIMIT %s
        """,
        (feature, most),
    )


def calibration(connection: Connection[Any], id: int) -> CalibrationRow | None:
    """One calibration, in force or not. `newest` is not looked at."""
    return typed_row(
        connection, CalibrationRow, f"SELECT {COLUMNS} FROM calibrations WHERE id = %s", (id,)
    )


def withdraw(
    connection: Connection[Any], feature: str, id: int, reason: str
) -> CalibrationRow | None:
    """Withdraw it; None if the feature has no such one. One that has ended stays unchanged."""
    return typed_row(
        connection,
        CalibrationRow,
        f"""
        UPDATE calibrations SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()),
            withdrawn_reason = coalesce(withdrawn_reason, %s)
        WHERE feature = %s AND id = %s RETURNING {COLUMNS}
        """,
        (reason, feature, id),
    )
