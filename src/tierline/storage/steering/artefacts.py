"""What is trained from a feature's labels: routers and micro models, a table each.

Rows are added, and may be withdrawn. The newest row of a key that is not withdrawn counts.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.base.json_text import JSON

Table = Literal["routers", "micro_models"]

COLUMNS = """id, feature, recipe, rows, right_rows, data_sha256, quality, trained_by, trained_at,
    vectors IS NOT NULL AS with_embeddings, withdrawn_at"""


def add_artefact(
    connection: Connection[Any],
    table: Table,
    values: Mapping[str, JSON],
    vectors: bytes | None,
    inputs: bytes | None = None,
) -> dict[str, Any]:
    """Add a row, which is in force from now on. `inputs`: for a micro model, 8 bytes of the digest
    of each input that it has seen.
    """
    seen = ("", "") if inputs is None else (", inputs", ", %(inputs)s")
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"""
            INSERT INTO {table}
                (feature, recipe, rows, right_rows, data_sha256, quality, document, trained_by,
                vectors{seen[0]})
            VALUES (%(feature)s, %(recipe)s, %(rows)s, %(right_rows)s, %(data_sha256)s,
                %(quality)s::json, %(document)s::json, %(trained_by)s, %(vectors)s{seen[1]})
            RETURNING {COLUMNS}
            """,
            {
                **values,
                "quality": json.dumps(values["quality"]),
                "document": json.dumps(values["document"]),
                "vectors": vectors,
                "inputs": inputs,
            },
        ).fetchone()
    assert row is not None
    return row


def list_artefacts(
    connection: Connection[Any], table: Table, feature: str, most: int = 100
) -> list[dict[str, Any]]:
    """A feature's, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM {table} WHERE feature = %s ORDER BY id DESC LIMIT %s",
            (feature, most),
        ).fetchall()


def withdraw_artefact(
    connection: Connection[Any], table: Table, feature: str, id: int
) -> dict[str, Any] | None:
    """Withdraw it, so that the previous one counts; None if the feature has no such one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"UPDATE {table} SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp())"
            f" WHERE feature = %s AND id = %s RETURNING {COLUMNS}",
            (feature, id),
        ).fetchone()


def artefact_in_force(
    connection: Connection[Any], table: Table, feature: str, recipe: str, known: int | None
) -> tuple[int, Any, bytes | None] | None:
    """The newest of this recipe that is not withdrawn: its id, document and embeddings, or the id
    alone if it is the `known` one. None: there is none.
    """
    row = connection.execute(
        "SELECT id, CASE WHEN id IS DISTINCT FROM %(known)s THEN document END,"
        " CASE WHEN id IS DISTINCT FROM %(known)s THEN vectors END"
        f" FROM {table} WHERE feature = %(feature)s AND recipe = %(recipe)s"
        " AND withdrawn_at IS NULL ORDER BY id DESC LIMIT 1",
        {"feature": feature, "recipe": recipe, "known": known},
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2])
