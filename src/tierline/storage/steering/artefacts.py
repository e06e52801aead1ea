"""What is trained from a feature's labels: routers and micro models, a table each.

Rows are added, and may be withdrawn. The newest row of a key that is not withdrawn counts.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.storage.db.rows import typed_row, typed_rows

Table = Literal["routers", "micro_models"]

COLUMNS = """id, feature, recipe, rows, right_rows, data_sha256, quality, trained_by, trained_at,
    vectors IS NOT NULL AS with_embeddings, withdrawn_at"""


@dataclass(frozen=True)
class NewArtefact:
    """A router or a micro model to store."""

    feature: str
    recipe: str  # what it was trained for
    rows: int  # that it was trained on
    right_rows: int
    data_sha256: str
    quality: JSON
    document: JSON
    trained_by: str  # server or client
    vectors: bytes | None
    inputs: bytes | None  # micro models: 8 bytes of the digest of each input that it has seen


@dataclass(frozen=True)
class ArtefactRow:
    """A stored router or micro model, without its content."""

    id: int
    feature: str
    recipe: str
    rows: int
    right_rows: int
    data_sha256: str
    quality: JSON
    trained_by: str
    trained_at: datetime
    with_embeddings: bool
    withdrawn_at: datetime | None


def add_artefact(connection: Connection[Any], table: Table, new: NewArtefact) -> ArtefactRow:
    """Add a row, which is in force from now on."""
    values = vars(new) | {"quality": json.dumps(new.quality), "document": json.dumps(new.document)}
    if new.inputs is None:
        del values["inputs"]  # routers have no such column
    row = typed_row(
        connection,
        ArtefactRow,
        f"""
        INSERT INTO {table} ({", ".join(values)})
        VALUES ({", ".join(f"%({name})s" for name in values)}) RETURNING {COLUMNS}
        """,
        values,
    )
    assert row is not None, "an INSERT of one row returns it"
    return row


def list_artefacts(
    connection: Connection[Any], table: Table, feature: str, most: int = 100
) -> list[ArtefactRow]:
    """A feature's, the newest first."""
    return typed_rows(
        connection,
        ArtefactRow,
        f"SELECT {COLUMNS} FROM {table} WHERE feature = %s ORDER BY id DESC LIMIT %s",
        (feature, most),
    )


def withdraw_artefact(
    connection: Connection[Any], table: Table, feature: str, id: int
) -> ArtefactRow | None:
    """Withdraw it, so that the previous one counts; None if the feature has no such one."""
    return typed_row(
        connection,
        ArtefactRow,
        f"UPDATE {table} SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp())"
        f" WHERE feature = %s AND id = %s RETURNING {COLUMNS}",
        (feature, id),
    )


def artefact_in_force(
    connection: Connection[Any], table: Table, feature: str, recipe: str, read_before: int | None
) -> tuple[int, Any, bytes | None] | None:
    """The newest of this recipe that is not withdrawn: its id, document and embeddings, or the id
    alone if it is the one `read_before`. None: there is none.
    """
    row = connection.execute(
        "SELECT id, CASE WHEN id IS DISTINCT FROM %(read_before)s THEN document END,"
        " CASE WHEN id IS DISTINCT FROM %(read_before)s THEN vectors END"
        f" FROM {table} WHERE feature = %(feature)s AND recipe = %(recipe)s"
        " AND withdrawn_at IS NULL ORDER BY id DESC LIMIT 1",
        {"feature": feature, "recipe": recipe, "read_before": read_before},
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def seen_by_micro_model(connection: Connection[Any], feature: str, task: str) -> bytes | None:
    """8 bytes of the digest of each input that the present micro model has seen. None if there is
    no model, or if a client trained it: what a client says about its inputs is not trusted.
    """
    row = connection.execute(
        "SELECT CASE WHEN trained_by = 'server' THEN inputs END FROM micro_models"
        " WHERE feature = %s AND recipe = %s"
        " AND withdrawn_at IS NULL ORDER BY id DESC LIMIT 1",
        (feature, task),
    ).fetchone()
    return None if row is None else row[0]
