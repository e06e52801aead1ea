"""The jobs that run or have a hint out, as a dispatcher remembers them.

A dispatcher that leads knows the ids: it sent the hints. So it looks the jobs up by id, and reads
all live jobs only now and then, for what other dispatchers have sent.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.storage.jobs import hints
from tierline.storage.jobs.hints import OutJob

RESCAN_S = 1.0  # the least time between two reads of all live jobs
RESCAN_SHARE = 0.02  # the most of a thread's time that they take


class Rescan:
    """Says when to read everything again: often while it is quick, rarely when it takes long."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._began_s: float | None = None

    def due(self) -> bool:
        return time.monotonic() >= self._due_s

    def now(self) -> None:
        """Something happened that only a full read shows."""
        self._due_s = 0.0

    def begins(self) -> None:
        self._began_s = time.monotonic()

    def ended(self) -> None:
        now_s = time.monotonic()
        took_s = now_s - (self._began_s or now_s)
        self._due_s = now_s + max(RESCAN_S, took_s / RESCAN_SHARE)


class OutJobs:
    """The ids of a process, for all of its threads. Ids of jobs that have ended drop out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[UUID] = set()
        self._rescan = Rescan()
        self._unread = True  # not all live jobs were read yet

    def begin(self) -> None:
        """Read all live jobs next time, whoever asks: another dispatcher has sent hints."""
        with self._lock:
            self._unread = True

    def sent(self, job_ids: Iterable[UUID]) -> None:
        """Hints of these jobs are out: their marks are committed."""
        with self._lock:
            self._ids |= set(job_ids)

    def read(
        self, connection: Connection[Any], *, all_live: bool = False, may_scan: bool = True
    ) -> list[OutJob]:
        """The remembered jobs that run or have a hint out.

        `all_live`: those that nobody remembers too. Otherwise they are found about once a second,
        or less often when there are many live or dead rows. Without `may_scan` that is left to
        another thread, because it takes long beside a held snapshot.
        """
        with self._lock:
            remembered = set(self._ids)
            scan = all_live or self._unread or (may_scan and self._rescan.due())
            if scan:
                self._rescan.begins()
        out = _all_live(connection) if scan else hints.out_among(connection, remembered)
        still = {job.job_id for job in out}
        with self._lock:
            # Ids that were added meanwhile stay.
            self._ids = (self._ids - remembered) | still
            if scan:
                self._unread = False
                self._rescan.ended()
        return out


def _all_live(connection: Connection[Any]) -> list[OutJob]:
    with connection.transaction():
        hints.read_whole_tables(connection, on=True)
        out = hints.out(connection)
        hints.read_whole_tables(connection, on=False)
    return out
