"""References and looks of drift, and the inputs that they are made from."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.json_text import JSON

# The newest thing that a promise or a route goes by: with it a new reference begins.
EVIDENCE = """
SELECT evidence, made_at, served, errors FROM (
    SELECT 'calibration ' || id AS evidence, created_at AS made_at, served, errors FROM (
        SELECT DISTINCT ON (fingerprint) * FROM calibrations
        WHERE feature = %(feature)s AND recipe = ANY(%(recipes)s)
        ORDER BY fingerprint, id DESC
    ) newest WHERE threshold IS NOT NULL AND withdrawn_at IS NULL
    UNION ALL
    SELECT 'router ' || id, trained_at, NULL, NULL FROM routers
    WHERE feature = %(feature)s AND recipe = ANY(%(recipes)s) AND withdrawn_at IS NULL
) known ORDER BY made_at DESC LIMIT 1
"""

SAMPLE = """
SELECT j.id, j.account_id, j.completed_at, r.input, w.output
FROM jobs j JOIN job_requests r ON r.job_id = j.id
LEFT JOIN answers w ON w.job_id = j.id AND w.attempt = j.answer_attempt
WHERE j.feature_version_id = ANY(%(versions)s) AND j.input_removed_at IS NULL
    AND j.shadow_of IS NULL AND r.input IS NOT NULL
    AND j.completed_at > %(after)s AND j.completed_at <= %(until)s
ORDER BY j.completed_at DESC, j.id DESC LIMIT %(most)s
"""

AUDITED = """
SELECT o.differs FROM outcomes o
WHERE o.feature = %s AND o.drawn AND o.served AND o.differs IS NOT NULL AND NOT o.repeated
    AND o.noted_at > %s AND o.noted_at <= %s
ORDER BY o.seq LIMIT 5000
"""


def evidence(
    connection: Connection[Any], feature: str, recipes: Sequence[str]
) -> dict[str, Any] | None:
    """What a feature goes by now: `evidence`, `made_at`, and of how many it `served` how many were
    `errors`; None: nothing was found out about it.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(EVIDENCE, {"feature": feature, "recipes": list(recipes)}).fetchone()


def version_ids(connection: Connection[Any], feature: str) -> list[int]:
    """Of the feature's versions that were applied."""
    rows = connection.execute(
        "SELECT id FROM feature_versions WHERE name = %s AND version > 0", (feature,)
    )
    return [id for (id,) in rows]


def sample(
    connection: Connection[Any],
    versions: Sequence[int],
    after: datetime,
    until: datetime,
    most: int,
) -> list[dict[str, Any]]:
    """The newest jobs that ended in (after, until] and still have their input."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            SAMPLE, {"versions": list(versions), "after": after, "until": until, "most": most}
        ).fetchall()


def audited(
    connection: Connection[Any], feature: str, after: datetime, until: datetime
) -> list[bool]:
    """Of what was served, whether the audited answers of that time differ."""
    return [differs for (differs,) in connection.execute(AUDITED, (feature, after, until))]


def reference(connection: Connection[Any], feature: str, evidence: str) -> dict[str, Any] | None:
    """The one beside that evidence."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM drift_references WHERE feature = %s AND evidence = %s",
            (feature, evidence),
        ).fetchone()


def newest_reference(connection: Connection[Any], feature: str) -> dict[str, Any] | None:
    """The feature's last one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM drift_references WHERE feature = %s ORDER BY id DESC LIMIT 1",
            (feature,),
        ).fetchone()


def add_reference(connection: Connection[Any], values: Mapping[str, Any]) -> None:
    """Keep it, unless another was quicker."""
    connection.execute(
        "INSERT INTO drift_references (feature, evidence, evidence_at, inputs, vectors, document)"
        " VALUES (%(feature)s, %(evidence)s, %(evidence_at)s, %(inputs)s, %(vectors)s,"
        " %(document)s::json) ON CONFLICT DO NOTHING",
        {**values, "document": json.dumps(values["document"])},
    )


def looks(connection: Connection[Any], reference_id: int, most: int = 90) -> list[dict[str, Any]]:
    """A reference's, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM drift_looks WHERE reference_id = %s ORDER BY number DESC LIMIT %s",
            (reference_id, most),
        ).fetchall()


def add_look(connection: Connection[Any], values: Mapping[str, JSON], vectors: bytes) -> bool:
    """Keep a look, which takes the vectors over from those before it; False when another was
    quicker: then this one never was.
    """
    made = connection.execute(
        "INSERT INTO drift_looks (reference_id, number, inputs, money, alarm, document, vectors,"
        " up_to) VALUES (%(reference_id)s, %(number)s, %(inputs)s, %(money)s, %(alarm)s,"
        " %(document)s::json, %(vectors)s, %(up_to)s) ON CONFLICT DO NOTHING",
        {**values, "document": json.dumps(values["document"]), "vectors": vectors},
    )
    if made.rowcount == 1:
        connection.execute(
            "UPDATE drift_looks SET vectors = NULL WHERE reference_id = %s AND number < %s",
            (values["reference_id"], values["number"]),
        )
    return made.rowcount == 1


def tell_once(connection: Connection[Any], reference_id: int, column: str) -> datetime | None:
    """Note that it is told, in this transaction; the time, or None when it was told before."""
    assert column in ("alarm_told_at", "refresh_told_at")
    row = connection.execute(
        f"UPDATE drift_references SET {column} = clock_timestamp()"
        f" WHERE id = %s AND {column} IS NULL RETURNING {column}",
        (reference_id,),
    ).fetchone()
    return None if row is None else row[0]


def inputs_of(
    connection: Connection[Any], job_ids: Sequence[str], account_id: int | None
) -> list[tuple[str, JSON]]:
    """Of those jobs that are one account's, or of all, what was asked; what was removed is not."""
    rows = connection.execute(
        "SELECT j.id, r.input FROM unnest(%s::uuid[]) WITH ORDINALITY wanted (id, place)"
        " JOIN jobs j ON j.id = wanted.id JOIN job_requests r ON r.job_id = j.id"
        " WHERE r.input IS NOT NULL AND (%s::bigint IS NULL OR j.account_id = %s)"
        " ORDER BY wanted.place",
        (list(job_ids), account_id, account_id),
    )
    return [(str(id), input) for id, input in rows]


def withdraw_all(
    connection: Connection[Any], feature: str, recipes: Sequence[str], reason: str
) -> list[int]:
    """End the feature's calibrations of these recipes that are in force; their ids."""
    rows = connection.execute(
        "UPDATE calibrations SET withdrawn_at = clock_timestamp(), withdrawn_reason = %s"
        " WHERE feature = %s AND recipe = ANY(%s) AND withdrawn_at IS NULL"
        " AND threshold IS NOT NULL RETURNING id",
        (reason, feature, list(recipes)),
    )
    return sorted(id for (id,) in rows)
