"""Removes history that is too old, a week at a time: first the jobs, then the partitions.

A week is kept whole while anything in it is needed (`kept_by`). Jobs go first, so that nobody finds
a job whose answers are gone. A partition is marked, then detached without a lock on its parent that
a reader or a writer waits for. Whether the week is needed is checked again then, because no job of
it can be found any more: it is dropped, or attached again. Whoever finds a step half done finishes
it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from tierline.rules.partitions import Partition
from tierline.storage.upkeep.partitions import LOCK_TIMEOUT_MS, PARTITIONS_LOCK, Busy

# The comment on a partition that is being removed. A table without it was detached by a person.
_MARK = "past history_days, to be dropped: {table} from {first} to {end}"
_MARK_OF = re.compile(r"^past history_days, to be dropped: (\w+) from (\S+) to (\S+)$")

LOWEST = UUID(int=0)

_RANGE = "{id} >= %(first)s AND {id} < %(end)s"
_JOB = _RANGE.format(id="job_id")

# A label counts until its job's content is removed.
_LABELLED = """
SELECT FROM feedback f JOIN job_requests r ON r.job_id = f.job_id
WHERE f.job_id = {job} AND r.input IS NOT NULL
"""

# The conditions on jobs and deliveries are those of their partial indexes.
_UNFINISHED = (
    "status = 'queued' AND hint_no IS NULL",
    "status = 'queued' AND hint_no IS NOT NULL",
    "status = 'in_progress'",
)
_PENDING = (
    "status = 'pending' AND hint_no IS NULL AND claim_token IS NULL",
    "status = 'pending' AND (hint_no IS NOT NULL OR claim_token IS NOT NULL)",
)

_LIVE_JOBS = " UNION ALL ".join(
    f"SELECT FROM jobs WHERE part < 2 AND {unfinished} AND ({_RANGE.format(id='id')}"
    f" OR {_RANGE.format(id='shadow_of')})"
    for unfinished in _UNFINISHED
)
_OPEN_RESERVATIONS = f"SELECT FROM reservations WHERE settled_usd IS NULL AND {_JOB}"
_UNDELIVERED = " UNION ALL ".join(
    f"SELECT FROM deliveries WHERE {pending} AND ({_RANGE.format(id='id')} OR {_JOB})"
    for pending in _PENDING
)
_BATCHES = f"""
SELECT FROM batches b JOIN jobs j ON j.batch_id = b.id
WHERE b.completed_at IS NULL AND b.id < %(end)s AND {_RANGE.format(id="j.id")}
"""
_LABELS = f"""
SELECT FROM feedback f JOIN job_requests r ON r.job_id = f.job_id
WHERE {_RANGE.format(id="f.job_id")} AND {_RANGE.format(id="r.job_id")} AND r.input IS NOT NULL
"""
_DATASETS = f"SELECT FROM dataset_rows WHERE input IS NOT NULL AND {_JOB}"
# The outcomes that a calibration in force was made from, and those that may refute it.
_CALIBRATIONS = f"""
SELECT FROM outcomes o JOIN (
    SELECT DISTINCT ON (fingerprint) * FROM calibrations ORDER BY fingerprint, id DESC
) c ON c.fingerprint = o.fingerprint
WHERE c.threshold IS NOT NULL AND c.withdrawn_at IS NULL AND o.drawn
    AND {_RANGE.format(id="o.job_id")}
    AND (o.calibration_id = c.id OR o.seq BETWEEN c.first_seq AND c.last_seq)
"""
_EVALUATIONS = f"""
SELECT FROM (
    SELECT evaluation_id FROM evaluation_answers WHERE {_JOB}
    UNION ALL SELECT evaluation_id FROM evaluation_judgements WHERE {_JOB}
) a JOIN evaluations e ON e.id = a.evaluation_id
WHERE e.status = 'running' OR EXISTS (
    SELECT FROM promotions p WHERE p.evaluation_id = e.id AND p.ended_at IS NULL)
"""
_NOT_ROLLED_UP = f"""
SELECT FROM sums_state s WHERE s.history_from < %(end)s
    OR EXISTS (SELECT FROM attempts WHERE {_JOB} AND seq >= s.rolled_to)
    OR EXISTS (SELECT FROM sums_pending WHERE {_JOB})
"""

REASONS = {
    "live_jobs": _LIVE_JOBS,
    "open_reservations": _OPEN_RESERVATIONS,
    "undelivered_webhooks": _UNDELIVERED,
    "unfinished_batches": _BATCHES,
    "labels": _LABELS,
    "datasets": _DATASETS,
    "calibrations": _CALIBRATIONS,
    "evaluations": _EVALUATIONS,
    "not_rolled_up": _NOT_ROLLED_UP,
}
"""What keeps a range of job ids, with the query that finds a row of it."""

_KEPT_BY = (
    "SELECT reason FROM (VALUES "
    + ", ".join(
        f"({number}, '{reason}', EXISTS ({query}))"
        for number, (reason, query) in enumerate(REASONS.items())
    )
    + ") kept (number, reason, needed) WHERE needed ORDER BY number"
)

# Ended jobs that are not in jobs_ended: those of before 0.3.0. A job that got a label meanwhile
# stays.
_REMOVE_JOBS = f"""
DELETE FROM jobs WHERE part < 2 AND id = ANY(ARRAY(
    SELECT id FROM jobs j
    WHERE part < 2 AND {_RANGE.format(id="j.id")} AND j.completed_at IS NOT NULL
        AND NOT EXISTS ({_LABELLED.format(job="j.id")})
    ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED))
"""

# Rows that name jobs which are gone, and make no sense without them. {table}: one of NAMING.
_REMOVE_NAMING = f"""
DELETE FROM {{table}} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {{table}} WHERE {_JOB} LIMIT %(most)s FOR UPDATE SKIP LOCKED))
"""
NAMING = ("feedback", "reviews", "evaluation_answers", "evaluation_judgements")

_MARKED = """
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c
WHERE c.relkind = 'r' AND NOT c.relispartition AND pg_table_is_visible(c.oid)
    AND obj_description(c.oid, 'pg_class') LIKE 'past history_days, to be dropped: %'
ORDER BY c.relname
"""

_BATCHES_DONE = """
SELECT b.id FROM batches b
WHERE b.completed_at IS NOT NULL AND b.id < %s
    AND NOT EXISTS (SELECT FROM jobs j WHERE j.batch_id = b.id)
ORDER BY b.id LIMIT %s
"""


@contextmanager
def alone(connection: Connection[Any]) -> Iterator[None]:
    """The right to change partitions, and a short lock timeout. Not within a transaction.

    Raises Busy if another process has it.
    """
    (got,) = connection.execute(
        "SELECT pg_try_advisory_lock(%s)", (PARTITIONS_LOCK,)
    ).fetchone() or (False,)
    if not got:
        raise Busy
    try:
        connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        yield
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
            connection.execute("SELECT pg_advisory_unlock(%s)", (PARTITIONS_LOCK,))


def kept_by(connection: Connection[Any], one: Partition) -> list[str]:
    """The names of the reasons that keep the partition's range of ids; empty: it may go."""
    rows = connection.execute(_KEPT_BY, _bounds(one))
    return [reason for (reason,) in rows]


def remove_jobs(connection: Connection[Any], one: Partition, most: int) -> int:
    """Remove up to `most` ended jobs of the range that are not in jobs_ended. Returns how many."""
    return connection.execute(_REMOVE_JOBS, {**_bounds(one), "most": most}).rowcount


def remove_naming(connection: Connection[Any], table: str, one: Partition, most: int) -> int:
    """Remove up to `most` rows of one of `NAMING` whose jobs were in the range, and are gone."""
    return connection.execute(
        _REMOVE_NAMING.format(table=table), {**_bounds(one), "most": most}
    ).rowcount


def has_jobs(connection: Connection[Any], one: Partition) -> bool:
    """Whether jobs of the range are left: then what belongs to them stays."""
    row = connection.execute(
        f"SELECT FROM jobs WHERE {_RANGE.format(id='id')} LIMIT 1", _bounds(one)
    ).fetchone()
    return row is not None


def detach(connection: Connection[Any], table: str, one: Partition) -> None:
    """Mark the partition and detach it, or finish a DETACH that was interrupted.

    Within `alone`. Raises LockNotAvailable if transactions that use the table do not end at once;
    a repeat finishes it.
    """
    names = {"table": sql.Identifier(table), "name": sql.Identifier(one.name)}
    how = "FINALIZE" if one.detaching else "CONCURRENTLY"
    if not one.detaching:
        mark = _MARK.format(table=table, **_bounds(one))
        _comment(connection, one.name, mark)
    connection.execute(
        sql.SQL("ALTER TABLE {table} DETACH PARTITION {name} ").format(**names) + sql.SQL(how)
    )


def drop_detached(connection: Connection[Any]) -> Iterator[str]:
    """Drop the tables that `detach` has marked and detached, and yield their names.

    One whose week is needed by now is attached again. Within `alone`. Raises LockNotAvailable if
    somebody reads one; a repeat finishes it.
    """
    for name, mark in connection.execute(_MARKED).fetchall():
        match = _MARK_OF.match(mark)
        if match is None:
            continue
        table, first, end = match.groups()
        if kept_by(connection, Partition(name, UUID(first), UUID(end))):
            _attach_again(connection, table, name, first, end)
            continue
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        yield name


def detached(connection: Connection[Any]) -> list[str]:
    """The tables that `detach` has marked and detached, and that are not dropped yet."""
    return [name for name, _ in connection.execute(_MARKED)]


def _attach_again(connection: Connection[Any], table: str, name: str, first: str, end: str) -> None:
    """Undo `detach`. The check that it left spares reading the rows."""
    with connection.transaction():
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(table),
                sql.Identifier(name),
                sql.SQL("MINVALUE") if UUID(first) == LOWEST else sql.Literal(first),
                sql.Literal(end),
            )
        )
        _comment(connection, name, None)


def _comment(connection: Connection[Any], name: str, comment: str | None) -> None:
    connection.execute(
        sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(name), sql.Literal(comment))
    )


def batches_without_jobs(connection: Connection[Any], before: UUID, most: int) -> list[UUID]:
    """Ended batches with an id below `before` whose jobs are all gone."""
    rows = connection.execute(_BATCHES_DONE, (before, most))
    return [id for (id,) in rows]


def remove_errors(connection: Connection[Any], batch_id: UUID, most: int) -> int:
    """Remove up to `most` refused rows of a batch. Returns how many."""
    return connection.execute(
        "DELETE FROM batch_errors WHERE batch_id = %(id)s AND batch_row IN ("
        "SELECT batch_row FROM batch_errors WHERE batch_id = %(id)s LIMIT %(most)s)",
        {"id": batch_id, "most": most},
    ).rowcount


def remove_batch(connection: Connection[Any], batch_id: UUID) -> None:
    """Remove a batch without jobs and refused rows, and its parts. Call it in a transaction."""
    connection.execute("DELETE FROM batch_parts WHERE batch_id = %s", (batch_id,))
    connection.execute("DELETE FROM batch_files WHERE batch_id = %s", (batch_id,))
    connection.execute("DELETE FROM batches WHERE id = %s", (batch_id,))


def _bounds(one: Partition) -> dict[str, UUID]:
    return {"first": one.first or LOWEST, "end": one.end}
