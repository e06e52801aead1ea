"""Workers' heartbeats: a counter per process, and the claims that its live threads hold.

A beat is a number, not a time. An observer only checks that it changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.rules.queues import JOBS


@dataclass(frozen=True)
class WorkerBeat:
    """The last state that a worker process wrote."""

    worker: UUID
    name: str
    queues: tuple[str, ...]
    threads: int
    beat: int
    tokens: frozenset[UUID]
    kept: int = 0  # threads that it keeps free from backfills


def raise_beat(
    connection: Connection[Any],
    worker: UUID,
    name: str,
    queues: Sequence[str],
    threads: int,
    beat: int,
    tokens: Sequence[UUID],
    kept: int = 0,
) -> None:
    """Write this process's row. Only one thread of a process calls it."""
    updated = connection.execute(
        "UPDATE worker_beats SET beat = %s, tokens = %s WHERE worker = %s",
        (beat, list(tokens), worker),
    )
    if updated.rowcount == 0:
        connection.execute(
            "INSERT INTO worker_beats (worker, name, queues, threads, beat, tokens,"
            " kept_threads) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (worker, name, list(queues), threads, beat, list(tokens), kept),
        )


def read_beats(connection: Connection[Any]) -> list[WorkerBeat]:
    """Every worker process with a row; dead ones are included until they are removed."""
    rows = connection.execute(
        "SELECT worker, name, queues, threads, beat, tokens, kept_threads FROM worker_beats"
    )
    return [
        WorkerBeat(worker, name, tuple(queues), threads, beat, frozenset(tokens), kept)
        for worker, name, queues, threads, beat, tokens, kept in rows
    ]


def worker_count(connection: Connection[Any]) -> int:
    """How many worker processes that answer jobs have a row."""
    row = connection.execute(
        "SELECT count(*) FROM worker_beats WHERE queues && %s", (list(JOBS),)
    ).fetchone()
    return 0 if row is None else int(row[0])


def remove_worker(connection: Connection[Any], worker: UUID, beat: int | None = None) -> None:
    """Remove a process's row; with `beat`, only if it has not beaten since."""
    connection.execute(
        "DELETE FROM worker_beats WHERE worker = %(worker)s"
        " AND (%(beat)s::bigint IS NULL OR beat = %(beat)s)",
        {"worker": worker, "beat": beat},
    )
