"""References and checks of drift, and the inputs that they are computed from."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import first_id_of
from tierline.base.json_text import JSON
from tierline.storage.db.columns import columns
from tierline.storage.db.rows import typed_row, typed_rows

# A calibration's evidence comes first, then that of the routing, then that of a promotion. Of
# several, the oldest counts: changes since then affect it, and a newer one would hide them.
# `since`: the start of its outcomes. People's labels cannot be compared with a later audit, so
# their errors are not compared.
EVIDENCE = """
SELECT evidence, calibration_id, made_at, since, served, errors FROM (
    SELECT 'calibration ' || newest.id AS evidence, newest.id AS calibration_id,
        newest.created_at AS made_at, 0 AS place,
        CASE WHEN reference = 'model' THEN served END AS served, errors,
        (SELECT o.created_at FROM outcomes o
         WHERE o.recipe = newest.recipe AND o.drawn
            AND o.seq BETWEEN newest.first_seq AND newest.last_seq
         ORDER BY o.seq LIMIT 1) AS since
    FROM (
        SELECT DISTINCT ON (fingerprint) * FROM calibrations
        WHERE feature = %(feature)s AND recipe = ANY(%(recipes)s)
        ORDER BY fingerprint, id DESC
    ) newest WHERE threshold IS NOT NULL AND withdrawn_at IS NULL
    UNION ALL
    SELECT * FROM (
        SELECT DISTINCT ON (recipe) 'router ' || id, NULL::bigint, trained_at, 1,
            NULL::integer, NULL::integer, NULL::timestamptz
        FROM routers
        WHERE feature = %(feature)s AND recipe = ANY(%(recipes)s) AND withdrawn_at IS NULL
        ORDER BY recipe, id DESC
    ) routers
    UNION ALL
    SELECT 'evaluation ' || e.id, NULL, e.ended_at, 2, NULL, NULL, NULL
    FROM promotions p JOIN evaluations e ON e.id = p.evaluation_id
    WHERE p.feature = %(feature)s AND p.ended_at IS NULL
) candidates ORDER BY place, made_at, evidence LIMIT 1
"""

# The first jobs of each of many equal parts of the time, along the primary key, whose order is that
# of creation. So it reads a bounded number of jobs however long the time is, and every hour has its
# share. Equal inputs are drawn as often as they occur, because a small sample without repeats would
# differ from a large one. Jobs kept for their label beyond the retention are left out: they are not
# representative.
SAMPLE = """
WITH drawn AS (
    SELECT page.id
    FROM unnest(%(lowest)s::uuid[], %(below)s::uuid[]) AS part (lowest, below)
    CROSS JOIN LATERAL (
        SELECT id, feature_version_id, completed_at, input_removed_at, passed_by FROM jobs
        WHERE id >= part.lowest AND id < part.below ORDER BY id LIMIT %(a_part)s
    ) page
    WHERE feature_version_id = ANY(%(versions)s) AND completed_at IS NOT NULL
        AND completed_at > %(after)s AND completed_at <= %(until)s
        AND input_removed_at IS NULL AND NOT passed_by
    ORDER BY uuid_hash_extended(page.id, 7) LIMIT 3 * %(most)s
), sampled AS (
    SELECT j.id, j.account_id, j.completed_at, j.model, r.input, w.output
    FROM drawn JOIN jobs j ON j.id = drawn.id AND j.shadow_of IS NULL
    JOIN job_requests r ON r.job_id = j.id AND r.input IS NOT NULL
    LEFT JOIN answers w ON w.job_id = j.id AND w.attempt = j.answer_attempt
    ORDER BY uuid_hash_extended(j.id, 7) LIMIT %(most)s
)
SELECT * FROM sampled ORDER BY completed_at, id
"""
LOOKS_SHOWN = 90
LOOKS_KEPT = 100  # of a reference: the newest holds its state, and the others are only shown
PARTS = 200  # of the time
TAKEN = timedelta(hours=1)  # from the creation of most jobs to their end
AHEAD = timedelta(minutes=1)  # by which the clock that made an id may be ahead of the job's end
OF_A_PART = (100, 2_000)  # jobs; the second if the first gave too few: the feature is a rare one

AUDITED = """
SELECT o.differs FROM outcomes o
WHERE o.calibration_id = %s AND o.drawn AND o.served AND o.differs IS NOT NULL AND NOT o.repeated
    AND o.noted_at > %s AND o.noted_at <= %s
ORDER BY o.seq LIMIT 5000
"""

OPERATORS = """
SELECT DISTINCT account_id FROM api_keys
WHERE 'operator' = ANY(scopes) AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""


class Evidence(TypedDict):
    """What a feature's routing relies on."""

    evidence: str  # kind and id, such as "calibration 7"
    calibration_id: int | None  # None: it is no calibration
    made_at: datetime
    since: datetime | None  # the start of its outcomes; None: it has none
    served: int | None  # answers, by its test; None: their errors are not compared
    errors: int | None  # of the served


class DriftReference(TypedDict):
    """What a feature's traffic is compared with."""

    id: int
    feature: str
    evidence: str
    evidence_at: datetime
    inputs: int  # 0: only a notification is recorded
    vectors: bytes
    document: JSON
    created_at: datetime
    alarm_announced_at: datetime | None
    refresh_announced_at: datetime | None


# The columns have older names.
_ANNOUNCED = {"alarm_announced_at": "alarm_told_at", "refresh_announced_at": "refresh_told_at"}
_REFERENCE = columns(
    DriftReference, "r", {field: f"r.{column}" for field, column in _ANNOUNCED.items()}
)


class DriftCheck(TypedDict):
    """A daily comparison with a reference."""

    reference_id: int
    number: int
    looked_at: datetime
    inputs: int
    money: float  # evidence of change
    alarm: bool
    document: JSON
    vectors: bytes | None  # of the latest inputs; None: a later check took them over
    up_to: datetime


class SampledJob(TypedDict):
    """An ended job whose input is compared."""

    id: UUID
    account_id: int
    completed_at: datetime
    model: str | None
    input: JSON
    output: JSON


def evidence(connection: Connection[Any], feature: str, recipes: Sequence[str]) -> Evidence | None:
    """The feature's present evidence; None if there is none."""
    parameters = {"feature": feature, "recipes": list(recipes)}
    return typed_row(connection, Evidence, EVIDENCE, parameters)


def version_ids(connection: Connection[Any], feature: str) -> list[int]:
    """The feature's versions with the same task and the same models as the present one."""
    rows = connection.execute(
        "SELECT v.id FROM features f JOIN feature_versions now ON now.id = f.version_id"
        " JOIN feature_versions v ON v.name = f.name AND v.version > 0"
        " AND v.document -> 'input' = now.document -> 'input'"
        " AND v.document -> 'output' = now.document -> 'output' WHERE f.name = %s",
        (feature,),
    )
    return [id for (id,) in rows]


def sample(
    connection: Connection[Any],
    versions: Sequence[int],
    after: datetime,
    until: datetime,
    most: int,
) -> list[SampledJob]:
    """Jobs drawn from those that ended in (after, until] and still have their input, in the order
    of their end. It reads at most PARTS x OF_A_PART jobs.

    A job that took longer than that time, and than TAKEN, is not among them.
    """
    since = after - max(until - after, TAKEN)
    step = (until - since) / PARTS
    times = [*(since + number * step for number in range(PARTS)), until + AHEAD]
    bounds = [first_id_of(at, timedelta(0)) for at in times]
    parameters = {
        "versions": list(versions),
        "after": after,
        "until": until,
        "lowest": bounds[:-1],
        "below": bounds[1:],
        "most": most,
    }
    rows: list[SampledJob] = []
    for of_a_part in OF_A_PART:
        rows = typed_rows(connection, SampledJob, SAMPLE, {**parameters, "a_part": of_a_part})
        if len(rows) == most:
            break
    return rows


def audited(
    connection: Connection[Any], calibration_id: int, after: datetime, until: datetime
) -> list[bool]:
    """For what a calibration served in that time: whether each audited answer differs."""
    rows = connection.execute(AUDITED, (calibration_id, after, until))
    return [differs for (differs,) in rows]


def operators(connection: Connection[Any]) -> set[int]:
    """The accounts that have an operator's key."""
    return {id for (id,) in connection.execute(OPERATORS)}


def reference(connection: Connection[Any], feature: str, evidence: str) -> DriftReference | None:
    """The feature's reference for that evidence."""
    return typed_row(
        connection,
        DriftReference,
        f"SELECT {_REFERENCE} FROM drift_references r WHERE feature = %s AND evidence = %s",
        (feature, evidence),
    )


def newest_reference(connection: Connection[Any], feature: str) -> DriftReference | None:
    """The feature's newest reference."""
    return typed_row(
        connection,
        DriftReference,
        f"SELECT {_REFERENCE} FROM drift_references r WHERE feature = %s ORDER BY id DESC LIMIT 1",
        (feature,),
    )


def add_reference(connection: Connection[Any], values: Mapping[str, Any]) -> None:
    """Store it, in place of an empty one, unless another process did so first."""
    connection.execute(
        "INSERT INTO drift_references AS kept"
        " (feature, evidence, evidence_at, inputs, vectors, document)"
        " VALUES (%(feature)s, %(evidence)s, %(evidence_at)s, %(inputs)s, %(vectors)s,"
        " %(document)s::json) ON CONFLICT (feature, evidence) DO UPDATE"
        " SET inputs = excluded.inputs, vectors = excluded.vectors, document = excluded.document,"
        " created_at = clock_timestamp() WHERE kept.inputs = 0 AND excluded.inputs > 0",
        {**values, "document": json.dumps(values["document"])},
    )


def looks(
    connection: Connection[Any], reference_id: int, most: int = LOOKS_SHOWN
) -> list[DriftCheck]:
    """A reference's checks, the newest first."""
    return typed_rows(
        connection,
        DriftCheck,
        "SELECT * FROM drift_looks WHERE reference_id = %s ORDER BY number DESC LIMIT %s",
        (reference_id, most),
    )


def add_look(connection: Connection[Any], values: Mapping[str, JSON], vectors: bytes) -> bool:
    """Store a check, which takes over the vectors of earlier ones, and remove the oldest.

    False if another process was first, and then nothing is stored.
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
        connection.execute(
            "DELETE FROM drift_looks WHERE reference_id = %s AND number <= %s::int - %s",
            (values["reference_id"], values["number"], LOOKS_KEPT),
        )
    return made.rowcount == 1


def announce_once(connection: Connection[Any], reference_id: int, field: str) -> datetime | None:
    """Record in this transaction that `field` of DriftReference was announced.

    Returns the time, or None if it was announced before.
    """
    column = _ANNOUNCED[field]
    row = connection.execute(
        f"UPDATE drift_references SET {column} = clock_timestamp()"
        f" WHERE id = %s AND {column} IS NULL RETURNING {column}",
        (reference_id,),
    ).fetchone()
    return None if row is None else row[0]


def last_alarm(connection: Connection[Any], feature: str) -> datetime | None:
    """When a change of its traffic was last announced; None: never."""
    row = connection.execute(
        "SELECT max(alarm_told_at) FROM drift_references WHERE feature = %s", (feature,)
    ).fetchone()
    assert row is not None
    alarm_at: datetime | None = row[0]
    return alarm_at


def inputs_of(
    connection: Connection[Any], job_ids: Sequence[str], account_id: int | None
) -> list[tuple[str, JSON]]:
    """The inputs of those jobs that belong to one account, or to any; removed ones are left out."""
    rows = connection.execute(
        "SELECT j.id, r.input FROM unnest(%s::uuid[]) WITH ORDINALITY given (id, place)"
        " JOIN jobs j ON j.id = given.id JOIN job_requests r ON r.job_id = j.id"
        " WHERE r.input IS NOT NULL AND (%s::bigint IS NULL OR j.account_id = %s)"
        " ORDER BY given.place",
        (list(job_ids), account_id, account_id),
    )
    return [(str(id), input) for id, input in rows]


def withdraw_all(
    connection: Connection[Any], feature: str, recipes: Sequence[str], reason: str
) -> list[int]:
    """Withdraw the feature's calibrations of these recipes that are in force. Returns their ids."""
    rows = connection.execute(
        "UPDATE calibrations SET withdrawn_at = clock_timestamp(), withdrawn_reason = %s"
        " WHERE feature = %s AND recipe = ANY(%s) AND withdrawn_at IS NULL"
        " AND threshold IS NOT NULL RETURNING id",
        (reason, feature, list(recipes)),
    )
    return sorted(id for (id,) in rows)
