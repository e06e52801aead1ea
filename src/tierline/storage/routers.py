"""Trained routers, and the labelled log that they are trained from."""

import json
from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.json_text import JSON
from tierline.verdicts import CHECK_FAILURES, Verdict

MOST_ROWS = 5_000  # of a training: the newest

COLUMNS = """id, feature, recipe, rows, right_rows, data_sha256, quality, trained_at,
    vectors IS NOT NULL AS with_embeddings, withdrawn_at"""

_FAILED = ", ".join(f"'{verdict}'" for verdict in sorted(CHECK_FAILURES - {Verdict.LOW_CONFIDENCE}))

# What the first tier handled badly: an answer that failed a check, or that differs from its
# reference. What it handled well: one that was compared and agrees. What was served and never
# compared says nothing. Of equal inputs the newest counts.
LABELLED = f"""
WITH known AS (
    SELECT a.job_id, r.input, NOT a.verdict IN ({_FAILED}) AND NOT coalesce(o.differs, false)
            AS is_right,
        a.started_at,
        row_number() OVER (PARTITION BY md5(r.input::text) ORDER BY a.started_at DESC) AS place
    FROM attempts a
    JOIN jobs j ON j.id = a.job_id
    JOIN feature_versions v ON v.id = j.feature_version_id
    JOIN job_requests r ON r.job_id = a.job_id
    LEFT JOIN outcomes o ON o.job_id = a.job_id AND o.attempt = a.number
    WHERE v.name = %(feature)s AND v.version > 0 AND a.tier = %(tier)s AND r.input IS NOT NULL
        AND j.shadow_of IS NULL
        AND (%(account)s::bigint IS NULL OR j.account_id = %(account)s)
        AND (a.verdict IN ({_FAILED}) OR (o.drawn AND o.differs IS NOT NULL))
)
SELECT job_id, input, is_right FROM known WHERE place = 1
ORDER BY started_at DESC, job_id LIMIT %(most)s
"""


def labelled(
    connection: Connection[Any], feature: str, tier: str, account_id: int | None = None
) -> list[dict[str, Any]]:
    """Inputs with whether the tier handled them well, the newest first; of one account or all."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            LABELLED, {"feature": feature, "tier": tier, "account": account_id, "most": MOST_ROWS}
        ).fetchall()


def add_router(
    connection: Connection[Any], values: Mapping[str, JSON], vectors: bytes | None
) -> dict[str, Any]:
    """The new row, which counts from now on."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"""
            INSERT INTO routers
                (feature, recipe, rows, right_rows, data_sha256, quality, document, vectors)
            VALUES (%(feature)s, %(recipe)s, %(rows)s, %(right_rows)s, %(data_sha256)s,
                %(quality)s::json, %(document)s::json, %(vectors)s)
            RETURNING {COLUMNS}
            """,
            {
                **values,
                "quality": json.dumps(values["quality"]),
                "document": json.dumps(values["document"]),
                "vectors": vectors,
            },
        ).fetchone()
    assert row is not None
    return row


def list_routers(
    connection: Connection[Any], feature: str, most: int = 100
) -> list[dict[str, Any]]:
    """A feature's, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM routers WHERE feature = %s ORDER BY id DESC LIMIT %s",
            (feature, most),
        ).fetchall()


def withdraw_router(connection: Connection[Any], feature: str, id: int) -> dict[str, Any] | None:
    """End it, so that the one before it counts; None when the feature has no such one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"UPDATE routers SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp())"
            f" WHERE feature = %s AND id = %s RETURNING {COLUMNS}",
            (feature, id),
        ).fetchone()


def router_in_force(
    connection: Connection[Any], feature: str, recipe: str, known: int | None
) -> tuple[int, Any, bytes | None] | None:
    """The newest of this recipe that was not withdrawn: its id, document and embeddings; without
    these two where it is the `known` one. None: there is none.
    """
    row = connection.execute(
        "SELECT id, CASE WHEN id IS DISTINCT FROM %(known)s THEN document END,"
        " CASE WHEN id IS DISTINCT FROM %(known)s THEN vectors END"
        " FROM routers WHERE feature = %(feature)s AND recipe = %(recipe)s"
        " AND withdrawn_at IS NULL ORDER BY id DESC LIMIT 1",
        {"feature": feature, "recipe": recipe, "known": known},
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2])
