"""Batches whose rows are the lines of a file: what is read, and how far.

Their rows become jobs as those of any other batch; `services.batches.read_batch_files` reads the
lines. Whoever reads holds the row of `batch_files`, so that no line is read twice.
"""

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from tierline.rules.job_events import AttemptFacts
from tierline.storage.db.columns import columns
from tierline.storage.db.homes import Span, read_at_homes
from tierline.storage.db.rows import typed_rows
from tierline.storage.jobs.job_reads import account_job_rows
from tierline.views.batches.batches import BadRowOfBatch
from tierline.views.batches.files import BatchFile
from tierline.views.jobs.jobs import JobRow

_COLUMNS = columns(BatchFile, "f", {})

VERDICTS = """
SELECT a.job_id, a.number, a.tier, a.started_at, a.ended_at, a.verdict, a.reason
FROM @attempts a WHERE a.job_id = ANY(%s) ORDER BY a.job_id, a.number
"""


def add(
    connection: Connection[Any],
    batch_id: UUID,
    account_id: int,
    file_id: UUID,
    endpoint: str,
    lines: int,
) -> None:
    """Say what a new batch is read from, in the transaction that opens it."""
    connection.execute(
        "INSERT INTO batch_files (batch_id, account_id, file_id, endpoint, lines)"
        " VALUES (%s, %s, %s, %s, %s)",
        (batch_id, account_id, file_id, endpoint, lines),
    )


def of_batch(connection: Connection[Any], account_id: int, batch_id: UUID) -> BatchFile | None:
    """None for a batch that is not read from a file, or is another account's."""
    by_batch = of_batches(connection, account_id, [batch_id])
    return by_batch.get(batch_id)


def of_batches(
    connection: Connection[Any], account_id: int, batch_ids: list[UUID]
) -> dict[UUID, BatchFile]:
    """The same for several, by the batch."""
    with connection.cursor(row_factory=class_row(BatchFile)) as cursor:
        rows = cursor.execute(
            f"SELECT {_COLUMNS} FROM batch_files f"
            " WHERE f.batch_id = ANY(%s) AND f.account_id = %s",
            (batch_ids, account_id),
        ).fetchall()
    return {row["batch_id"]: row for row in rows}


def page(
    connection: Connection[Any], account_id: int, after: UUID | None, limit: int
) -> list[UUID]:
    """The account's batches that are read from files, after the batch `after`, the newest first."""
    rows = connection.execute(
        "SELECT f.batch_id FROM batch_files f JOIN batches b ON b.id = f.batch_id"
        " WHERE b.account_id = %(account_id)s AND (%(after)s::uuid IS NULL OR b.seq <"
        " (SELECT seq FROM batches WHERE id = %(after)s AND account_id = %(account_id)s))"
        " ORDER BY b.seq DESC LIMIT %(limit)s",
        {"account_id": account_id, "after": after, "limit": limit},
    )
    return [batch_id for (batch_id,) in rows]


def unread_of_file(connection: Connection[Any], file_id: UUID) -> bool:
    """Whether a batch is still read from the file."""
    row = connection.execute(
        "SELECT FROM batch_files WHERE file_id = %s AND read_at IS NULL LIMIT 1", (file_id,)
    ).fetchone()
    return row is not None


def unread(connection: Connection[Any]) -> list[list[UUID]]:
    """Batches whose file was not read to its end: those of each account, the oldest first."""
    rows = connection.execute(
        "SELECT array_agg(batch_id ORDER BY batch_id) FROM batch_files"
        " WHERE read_at IS NULL GROUP BY account_id"
    )
    return [batch_ids for (batch_ids,) in rows]


def take(connection: Connection[Any], batch_id: UUID) -> BatchFile | None:
    """Hold the batch's reading until this transaction ends; None: another holds it, or it ended."""
    with connection.cursor(row_factory=class_row(BatchFile)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM batch_files f WHERE f.batch_id = %s AND f.read_at IS NULL"
            " FOR UPDATE SKIP LOCKED",
            (batch_id,),
        ).fetchone()


def note_read(
    connection: Connection[Any], batch_id: UUID, *, read_to: int, line: int, parts: int
) -> None:
    """Lines were written up to there, in the same transaction."""
    connection.execute(
        "UPDATE batch_files SET read_to = %s, line = %s, parts = %s,"
        " begun_at = coalesce(begun_at, clock_timestamp()) WHERE batch_id = %s",
        (read_to, line, parts, batch_id),
    )


def note_end(connection: Connection[Any], batch_id: UUID) -> None:
    """The file was read to its end, or need not be."""
    connection.execute(
        "UPDATE batch_files SET read_at = clock_timestamp() WHERE batch_id = %s", (batch_id,)
    )


def note_cancelling(connection: Connection[Any], batch_id: UUID) -> None:
    """Record that the batch is being cancelled, so that no more lines are read."""
    connection.execute(
        "UPDATE batch_files SET cancelling_at = coalesce(cancelling_at, clock_timestamp()),"
        " read_at = coalesce(read_at, clock_timestamp())"
        " WHERE batch_id = %s",
        (batch_id,),
    )


def note_deleted(connection: Connection[Any], batch_id: UUID, *, errors: bool) -> None:
    """The output file, or that of errors, was deleted."""
    column = "errors_deleted_at" if errors else "output_deleted_at"
    connection.execute(
        f"UPDATE batch_files SET {column} = coalesce({column}, clock_timestamp())"
        " WHERE batch_id = %s",
        (batch_id,),
    )


def used_custom_ids(connection: Connection[Any], batch_id: UUID, custom_ids: list[str]) -> set[str]:
    """Those of the ids that jobs of the batch have."""
    rows = connection.execute(
        "SELECT custom_id FROM jobs WHERE batch_id = %s AND custom_id = ANY(%s)",
        (batch_id, custom_ids),
    )
    return {custom_id for (custom_id,) in rows}


def ended_jobs(
    connection: Connection[Any],
    account_id: int,
    batch_id: UUID,
    after: int,
    limit: int,
    *,
    answered: bool,
) -> list[tuple[int, JobRow, list[AttemptFacts]]]:
    """Ended jobs of the batch with their row in it above `after`, in order, and their attempts.

    `answered`: the completed ones; else those that failed, expired or were cancelled.
    """
    statuses = ["completed"] if answered else ["failed", "expired", "cancelled"]
    places = dict(
        connection.execute(
            "SELECT id, batch_row FROM jobs WHERE batch_id = %s AND batch_row > %s"
            " AND status = ANY(%s) ORDER BY batch_row LIMIT %s",
            (batch_id, after, statuses, limit),
        ).fetchall()
    )
    if not places:
        return []
    ids = list(places)
    attempts: dict[UUID, list[AttemptFacts]] = {}
    rows = read_at_homes(
        connection,
        VERDICTS,
        [Span(min(ids), max(ids))],
        lambda named: connection.execute(named, (ids,)).fetchall(),
    )
    for job_id, *facts in rows:
        attempts.setdefault(job_id, []).append(AttemptFacts(*facts))
    jobs = account_job_rows(connection, account_id, ids)
    return [(places[row["id"]], row, attempts.get(row["id"], [])) for row in jobs]


def bad_rows(
    connection: Connection[Any], batch_id: UUID, after: int, limit: int
) -> list[BadRowOfBatch]:
    """Lines that became no job, in order."""
    return typed_rows(
        connection,
        BadRowOfBatch,
        f"SELECT {columns(BadRowOfBatch, 'e')} FROM batch_errors e"
        " WHERE batch_id = %s AND batch_row > %s ORDER BY batch_row LIMIT %s",
        (batch_id, after, limit),
    )
