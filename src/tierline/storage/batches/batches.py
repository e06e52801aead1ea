"""Batches: opened, filled with numbered parts, sealed, and completed when all of their jobs have
ended.

A part is written as a whole or not at all. The primary key of its row is the lock among requests
that send the same part at once. A row's position in its batch is one number: part × 100,000 +
place.
"""

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from tierline.base.errors import Problem
from tierline.base.json_text import JSON
from tierline.rules.batches import PLACES, StoredPart
from tierline.rules.jobs import Status
from tierline.storage.db.columns import columns
from tierline.views.batches.batches import StoredBatch

FIRST_UNFINISHED = """
SELECT b.id, b.ended_to, (
    SELECT j.batch_row FROM jobs j
    WHERE j.part < 2 AND j.batch_id = b.id AND j.batch_row >= b.ended_to
        AND j.completed_at IS NULL
    ORDER BY j.batch_row LIMIT 1
) FROM batches b WHERE b.status = 'sealed'
"""
NOTE_ENDED = """
UPDATE batches b SET ended_to = one.up_to
FROM unnest(%s::uuid[], %s::bigint[]) AS one (id, up_to)
WHERE b.id = one.id AND b.status = 'sealed' AND b.ended_to < one.up_to
"""
NOTED_ROWS = 500  # fewer are read again rather than written down


@dataclass(frozen=True)
class NewBatch:
    """What opening a batch writes."""

    batch_id: UUID
    account_id: int
    feature: str
    version_id: int
    metadata: JSON | None = None
    webhook_url: str | None = None
    key: str | None = None  # Idempotency-Key


@dataclass(frozen=True)
class GoodRow:
    """A row that becomes a job. `input` and `metadata` are JSON text."""

    job_id: UUID
    place: int
    custom_id: str | None
    input: str
    metadata: str | None
    # JSON text: why it begins on its tier; None: by the feature's default
    decision: str | None = None
    user: str | None = None  # the job's user, for budgets


@dataclass(frozen=True)
class BadRow:
    """A row that does not become a job."""

    place: int
    line: int | None  # in the caller's file, if the caller sent it
    custom_id: str | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Lane:
    """Where a group of the batch's jobs begins."""

    account_id: int
    version_id: int
    tier: str
    tier_index: int
    queue: str


def open_batch(connection: Connection[Any], new: NewBatch) -> bool:
    """Write the batch; False if its key is taken already, or the version is not current.

    Of several calls with the same key at once, one writes and the others wait for it.
    """
    done = connection.execute(
        "INSERT INTO batches"
        " (id, account_id, feature_version_id, status, idempotency_key, metadata, webhook_url)"
        " SELECT %(batch_id)s, %(account_id)s, version_id, 'open', %(key)s, %(metadata)s::json,"
        " %(webhook_url)s FROM features WHERE name = %(feature)s AND version_id = %(version_id)s"
        " ON CONFLICT (account_id, idempotency_key) DO NOTHING",
        {**vars(new), "metadata": None if new.metadata is None else json.dumps(new.metadata)},
    )
    return done.rowcount == 1


_COLUMNS = columns(
    StoredBatch,
    "b",
    {
        "feature": "v.name",
        "feature_version": "v.version",
        **{name: f"p.{name}" for name in ("parts", "rows", "bad_rows")},
    },
)

BATCH = f"""
SELECT {_COLUMNS}
FROM batches b
JOIN feature_versions v ON v.id = b.feature_version_id
CROSS JOIN LATERAL (
    SELECT count(*) AS parts, coalesce(sum(rows), 0)::bigint AS rows,
        coalesce(sum(bad_rows), 0)::bigint AS bad_rows
    FROM batch_parts WHERE batch_id = b.id
) p
WHERE b.account_id = %(account_id)s
"""


def batch_row(connection: Connection[Any], account_id: int, batch_id: UUID) -> StoredBatch | None:
    """One batch of the account; None when there is none."""
    with connection.cursor(row_factory=class_row(StoredBatch)) as cursor:
        return cursor.execute(
            f"{BATCH} AND b.id = %(id)s", {"account_id": account_id, "id": batch_id}
        ).fetchone()


def batch_of_key(connection: Connection[Any], account_id: int, key: str) -> StoredBatch | None:
    """The batch that used this Idempotency-Key."""
    with connection.cursor(row_factory=class_row(StoredBatch)) as cursor:
        return cursor.execute(
            f"{BATCH} AND b.idempotency_key = %(key)s", {"account_id": account_id, "key": key}
        ).fetchone()


def list_batches(
    connection: Connection[Any],
    account_id: int,
    before: int | None,
    limit: int,
    key: str | None = None,
) -> list[StoredBatch]:
    """An account's batches with `seq` below `before`, the newest first."""
    with connection.cursor(row_factory=class_row(StoredBatch)) as cursor:
        return cursor.execute(
            f"{BATCH} AND (%(before)s::bigint IS NULL OR b.seq < %(before)s)"
            " AND (%(key)s::text IS NULL OR b.idempotency_key = %(key)s)"
            " ORDER BY b.seq DESC LIMIT %(limit)s",
            {"account_id": account_id, "before": before, "key": key, "limit": limit},
        ).fetchall()


def hold(
    connection: Connection[Any], account_id: int, batch_id: UUID, *, alone: bool = False
) -> str | None:
    """Lock the batch until the end of this transaction and return its status; None: no such batch.

    Parts share the lock. With `alone` the lock is exclusive, for a change of the batch: it waits
    for the parts.
    """
    strength = "NO KEY UPDATE" if alone else "SHARE"
    row = connection.execute(
        f"SELECT status FROM batches WHERE id = %s AND account_id = %s FOR {strength}",
        (batch_id, account_id),
    ).fetchone()
    return None if row is None else str(row[0])


def stored_part(connection: Connection[Any], batch_id: UUID, number: int) -> StoredPart | None:
    parts = _parts(connection, batch_id, number - 1, 1)
    return parts[0] if parts and parts[0].number == number else None


def parts_after(
    connection: Connection[Any], batch_id: UUID, after: int, limit: int
) -> list[StoredPart]:
    """The batch's parts with a number above `after`, in order."""
    return _parts(connection, batch_id, after, limit)


def _parts(connection: Connection[Any], batch_id: UUID, after: int, limit: int) -> list[StoredPart]:
    rows = connection.execute(
        "SELECT number, sha256, rows, bad_rows FROM batch_parts"
        " WHERE batch_id = %s AND number > %s ORDER BY number LIMIT %s",
        (batch_id, after, limit),
    )
    return [StoredPart(*row) for row in rows]


def missing_parts(connection: Connection[Any], batch_id: UUID, parts: int, most: int) -> list[int]:
    """Numbers from 1 to `parts` that were not sent, at most `most`."""
    rows = connection.execute(
        "SELECT n FROM generate_series(1, %s) n WHERE NOT EXISTS ("
        "SELECT FROM batch_parts WHERE batch_id = %s AND number = n) LIMIT %s",
        (parts, batch_id, most),
    )
    return [number for (number,) in rows]


def claim_part(connection: Connection[Any], batch_id: UUID, part: StoredPart) -> bool:
    """Write the part's own row; False if it exists already.

    A second request for the same part waits here until this transaction has ended.
    """
    done = connection.execute(
        "INSERT INTO batch_parts (batch_id, number, sha256, rows, bad_rows)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (batch_id, part.number, part.sha256, part.rows, part.bad_rows),
    )
    return done.rowcount == 1


def add_jobs(
    connection: Connection[Any], batch_id: UUID, number: int, lane: Lane, good: Sequence[GoodRow]
) -> None:
    """Write the jobs of part `number` that begin in `lane`, in the transaction that claimed it."""
    first = number * PLACES
    with connection.cursor() as cursor:
        alike = (
            f"{lane.account_id}\t{lane.version_id}\t{Status.QUEUED}\t{_escaped(lane.tier)}"
            f"\t{lane.tier_index}\t{lane.queue}\t{batch_id}"
        )
        text = io.StringIO()
        for row in good:
            custom_id = "\\N" if row.custom_id is None else _escaped(row.custom_id)
            text.write(f"{row.job_id}\t{alike}\t{first + row.place}\t{custom_id}\n")
        with cursor.copy(
            "COPY jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
            " batch_id, batch_row, custom_id) FROM STDIN"
        ) as copy:
            copy.write(text.getvalue())
        text = io.StringIO()
        for row in good:
            metadata = "\\N" if row.metadata is None else _escaped(row.metadata)
            decision = "\\N" if row.decision is None else _escaped(row.decision)
            user = "\\N" if row.user is None else _escaped(row.user)
            text.write(f"{row.job_id}\t{_escaped(row.input)}\t{metadata}\t{decision}\t{user}\n")
        with cursor.copy(
            "COPY job_requests (job_id, input, metadata, decision, user_key) FROM STDIN"
        ) as copy:
            copy.write(text.getvalue())


def add_errors(
    connection: Connection[Any], batch_id: UUID, number: int, bad: Iterable[BadRow]
) -> None:
    """Write the rows of part `number` that do not become jobs, in the same transaction."""
    first = number * PLACES
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY batch_errors (batch_id, batch_row, line, custom_id, problems) FROM STDIN"
        ) as copy,
    ):
        for one in bad:
            problems = [{"path": p.path, "message": p.message} for p in one.problems]
            copy.write_row(
                (batch_id, first + one.place, one.line, one.custom_id, json.dumps(problems))
            )


def _escaped(text: str) -> str:
    """Escaped for COPY's text format."""
    text = text.replace("\\", "\\\\")
    if text.isprintable():
        return text
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def seal(connection: Connection[Any], batch_id: UUID) -> None:
    """Accept no more parts; in a transaction that holds the batch alone."""
    connection.execute(
        "UPDATE batches SET status = 'sealed', sealed_at = clock_timestamp()"
        " WHERE id = %s AND status = 'open'",
        (batch_id,),
    )


def close_as_cancelled(connection: Connection[Any], account_id: int, batch_id: UUID) -> bool:
    """Set an open or sealed batch to cancelled; its jobs are cancelled later.

    True if it changed.
    """
    done = connection.execute(
        "UPDATE batches SET status = 'cancelled', paused_at = NULL, holds_jobs = false"
        " WHERE id = %s AND account_id = %s AND status IN ('open', 'sealed')",
        (batch_id, account_id),
    )
    return done.rowcount == 1


def cancelled_and_unfinished(connection: Connection[Any]) -> list[UUID]:
    """Cancelled batches that are not yet marked as finished."""
    rows = connection.execute(
        "SELECT id FROM batches WHERE status = 'cancelled' AND completed_at IS NULL"
    )
    return [batch_id for (batch_id,) in rows]


def uncancelled_jobs(connection: Connection[Any], batch_id: UUID, most: int) -> list[UUID]:
    """Jobs of the batch that have not ended and have no cancel request. They are locked in the
    caller's transaction; jobs that another transaction has locked are left out.
    """
    rows = connection.execute(
        "SELECT id FROM jobs WHERE part < 2 AND batch_id = %s AND completed_at IS NULL"
        " AND cancel_requested_at IS NULL LIMIT %s FOR UPDATE SKIP LOCKED",
        (batch_id, most),
    )
    return [job_id for (job_id,) in rows]


def withdrawn(connection: Connection[Any], job_id: UUID) -> bool:
    """Whether the job belongs to a cancelled batch and is not cancelled yet."""
    row = connection.execute(
        "SELECT FROM jobs j JOIN batches b ON b.id = j.batch_id"
        " WHERE j.part < 2 AND j.id = %s AND j.completed_at IS NULL AND b.status = 'cancelled'",
        (job_id,),
    ).fetchone()
    return row is not None


def note_cancelled(connection: Connection[Any], batch_id: UUID) -> bool:
    """Mark a cancelled batch as finished if all of its jobs have ended. True if it was marked."""
    done = connection.execute(
        "UPDATE batches SET completed_at = clock_timestamp()"
        " WHERE id = %s AND status = 'cancelled' AND completed_at IS NULL AND NOT EXISTS ("
        "SELECT FROM jobs WHERE part < 2 AND batch_id = batches.id AND completed_at IS NULL)",
        (batch_id,),
    )
    return done.rowcount == 1


def sealed_and_ended(connection: Connection[Any]) -> list[UUID]:
    """Sealed batches without an unfinished job.

    It notes for each other batch up to where its jobs have ended. Beside a held snapshot, their
    entries stay in the index, and would be read each time.
    """
    ended, up_to = [], {}
    for batch_id, ended_to, first in connection.execute(FIRST_UNFINISHED):
        if first is None:
            ended.append(batch_id)
        elif first - ended_to >= NOTED_ROWS:
            up_to[batch_id] = first
    if up_to:
        connection.execute(NOTE_ENDED, (list(up_to), list(up_to.values())))
    return ended


def complete_sealed(connection: Connection[Any], batch_id: UUID) -> bool:
    """Set a sealed batch whose jobs have all ended to completed. True for one caller only."""
    done = connection.execute(
        "UPDATE batches SET status = 'completed', completed_at = clock_timestamp(),"
        " paused_at = NULL, holds_jobs = false"
        " WHERE id = %s AND status = 'sealed' AND NOT EXISTS ("
        "SELECT FROM jobs WHERE part < 2 AND batch_id = batches.id AND completed_at IS NULL"
        " AND batch_row >= batches.ended_to)",
        (batch_id,),
    )
    return done.rowcount == 1
