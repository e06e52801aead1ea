"""The heartbeat thread of a worker process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import structlog

from tierline.rules.scheduling import kept_free
from tierline.services.jobs.running.beats import Beat

log = structlog.get_logger(__name__)


class Heartbeat:
    """Raises the process's beat every `beat_s` seconds for the claims of its live threads.

    A claim past its attempt's hard deadline is left out, so a hanging thread loses its lease like a
    dead process. It has its own connection, so that a busy pool delays no beat.
    """

    def __init__(
        self, url: str, name: str, queues: tuple[str, ...], threads: int, beat_s: float
    ) -> None:
        self.worker = uuid4()
        kept = kept_free(queues, threads)
        self._row = Beat(url, self.worker, name, queues, threads, kept)
        self._beat_s = beat_s
        self._beat = 0
        self._until: dict[UUID, float | None] = {}  # token → monotonic seconds; None: no limit yet
        self._jobs: dict[UUID, UUID] = {}  # token → the job that it claims
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and remove the row, so that nobody waits for this process."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    @contextmanager
    def hold(self, token: UUID, job_id: UUID | None = None) -> Iterator[None]:
        """Beat for `token` inside the block. `job_id`: the job that it claims."""
        with self._lock:
            self._until[token] = None
            if job_id is not None:
                self._jobs[token] = job_id
        try:
            yield
        finally:
            with self._lock:
                self._until.pop(token, None)
                self._jobs.pop(token, None)

    def until(self, token: UUID, within_s: float) -> None:
        """Beat for a held token for at most `within_s` seconds from now."""
        with self._lock:
            if token in self._until:
                self._until[token] = time.monotonic() + within_s

    def held_jobs(self) -> dict[UUID, UUID]:
        """The jobs that the held tokens claim, by the token, including those past their limit."""
        with self._lock:
            return dict(self._jobs)

    def _alive(self) -> list[UUID]:
        now = time.monotonic()
        with self._lock:
            return [token for token, until in self._until.items() if until is None or now < until]

    def _run(self) -> None:
        while not self._stop.wait(self._beat_s if self._beat else 0.0):
            self._beat += 1
            try:
                self._row.write(self._beat, self._alive())
            except psycopg.Error as error:
                log.warning("beat_missed", error=type(error).__name__)
        try:
            self._row.remove()
        except psycopg.Error as error:
            log.warning("beat_row_left", error=type(error).__name__)
