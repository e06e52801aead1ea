"""Circuit breakers in a worker: which models may be called, and what a call's end says about one.

A healthy model costs no statement: the open circuits and the pauses are read once a second, by the
first thread that needs them. If the database is away, nothing is read or written here; the attempt
itself waits for it.
"""

import math
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause
from tierline.rules.circuits import OPERATORS, Effect, Window, effect, probe_wait_s
from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit
from tierline.storage.db.repeat import PASSING

log = structlog.get_logger(__name__)

LOOK_S = 1.0  # how late a process sees what others wrote
OLD_S = 5.0  # after so long, a thread waits for a new reading instead of using the old one
PROBE_SLACK_S = 10.0  # beyond its call's deadline: after that, a probe's worker is gone
LEAST_PAUSE_S = 1.0  # after a rate limit that names no time
MOST_PAUSE_S = 60.0  # one rate-limited call makes all wait so long at most; then one may try
MOST_AT_ONCE_S = 2.0  # held jobs come back spread over so long, not in one moment

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """A call that may be sent."""

    model: str
    probe: UUID | None = None  # the call is a probe, which may close the circuit
    failed_probes: int = 0


class Circuits:
    """The circuits in one process. Shared by its threads."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._windows: defaultdict[str, Window] = defaultdict(Window)
        self._standing: dict[str, Circuit] = {}
        self._read_s = 0.0  # monotonic, as is:
        self._tried_s: float | None = None

    def enter(self, model: str, timeout_s: float) -> Entry:
        """Permission to call the model now, for at most `timeout_s`.

        Raises CallFailed, with the time to wait, if its circuit is open or it is paused.
        """
        self._look(LOOK_S)
        circuit = self._standing.get(model)
        if circuit is None:
            return Entry(model)
        ago_s = time.monotonic() - self._read_s
        paused_s = circuit.paused_s - ago_s
        if paused_s > 0:
            reason = "not sent: the provider asked to come back later"
            raise CallFailed(Cause.RATE_LIMITED, reason, retry_after_s=_spread(paused_s))
        if not circuit.open:
            return Entry(model)
        probe_in_s = (circuit.probe_in_s or 0.0) - ago_s
        if probe_in_s <= 0:
            token = uuid4()
            failed = self._try(
                lambda connection: circuits.take_probe(
                    connection, model, token, timeout_s + PROBE_SLACK_S
                )
            )
            if failed is not None:
                return Entry(model, token, failed)
            self._look(0.0)  # another call is the probe, or has closed it
        raise _open_circuit(circuit, _spread(max(probe_in_s, LOOK_S)))

    def leave(self, entry: Entry, failure: CallFailed | None, *, cut_short: bool = False) -> None:
        """The call ended: opens, closes or pauses the circuit if need be.

        `cut_short`: the job's deadline left the call less time than its tier gives.
        """
        cause = None if failure is None else failure.cause
        seen = effect(cause, cut_short=cut_short)
        if failure is not None and cause is Cause.RATE_LIMITED:
            self.pause(entry.model, failure.retry_after_s)
        if entry.probe is not None:
            self._end_probe(entry, entry.probe, failure, seen)
            return
        if seen is Effect.NOTHING:
            return
        with self._lock:
            window = self._windows[entry.model]
            trips = window.note(seen, time.monotonic())
            if trips:
                window.clear()
        if trips and failure is not None:
            self._open(entry.model, failure)

    def _open(self, model: str, failure: CallFailed) -> None:
        cause, reason = failure.cause, failure.reason
        wait_s = probe_wait_s(cause, 0, failure.retry_after_s)
        opened = self._try(
            lambda connection: circuits.open_circuit(connection, model, cause.name, reason, wait_s)
        )
        self._look(0.0)
        if not opened:
            return  # another process did, and logged it
        say = log.error if cause in OPERATORS else log.warning
        say("circuit_opened", model=model, cause=cause.name.lower(), reason=reason)

    def _end_probe(
        self, entry: Entry, token: UUID, failure: CallFailed | None, seen: Effect
    ) -> None:
        if seen is Effect.NOTHING:
            return  # the next probe may go when this one's time is over
        if failure is None or seen is Effect.WELL:
            closed = self._try(
                lambda connection: circuits.close_circuit(connection, entry.model, token)
            )
            if closed:
                log.info("circuit_closed", model=entry.model)
        else:
            cause, reason = failure.cause, failure.reason
            wait_s = probe_wait_s(cause, entry.failed_probes + 1, failure.retry_after_s)
            self._try(
                lambda connection: circuits.probe_failed(
                    connection, entry.model, token, cause.name, reason, wait_s
                )
            )
        self._look(0.0)

    def give_back(self, entry: Entry) -> None:
        """The call was not sent, or says nothing about its model."""
        token = entry.probe
        if token is not None:
            self._try(lambda connection: circuits.give_back_probe(connection, entry.model, token))

    def pause(self, model: str, asked_s: float | None) -> None:
        """Nobody calls the model for `asked_s`, at least LEAST_PAUSE_S and at most MOST_PAUSE_S."""
        wait_s = min(max(asked_s or 0.0, LEAST_PAUSE_S), MOST_PAUSE_S)
        circuit = self._standing.get(model)
        if circuit is not None and circuit.paused_s - LOOK_S >= wait_s:
            return  # it is paused as long already
        self._try(lambda connection: circuits.pause(connection, model, wait_s))
        self._look(0.0)

    def _look(self, within_s: float) -> None:
        """Read the circuits, unless that was done in the last `within_s` seconds.

        While one thread reads, the others use the last reading if it is not older than OLD_S.
        """
        began_s = time.monotonic()
        tried_s = self._tried_s
        old_s = math.inf if tried_s is None else began_s - tried_s
        if old_s < within_s:
            return
        if not self._reading.acquire(blocking=within_s == 0 or old_s > OLD_S):
            return
        try:
            if self._tried_s is not None and self._tried_s >= began_s:
                return  # another thread read them meanwhile
            read_s = time.monotonic()
            standing = self._try(circuits.standing)
            if standing is not None:
                self._standing = {one.model: one for one in standing}
                self._read_s = read_s
                with self._lock:
                    for one in standing:
                        if one.open:
                            self._windows[one.model].clear()
            self._tried_s = read_s
        finally:
            self._reading.release()

    def _try(self, statement: Callable[[Connection[Any]], T]) -> T | None:
        try:
            with self._pool.connection() as connection:
                return statement(connection)
        except PASSING as error:
            log.warning("circuits_left", error=type(error).__name__)
            return None


def _open_circuit(circuit: Circuit, wait_s: float) -> CallFailed:
    cause = Cause.__members__.get(circuit.cause or "", Cause.CIRCUIT_OPEN)
    if cause not in OPERATORS:
        cause = Cause.CIRCUIT_OPEN
    return CallFailed(cause, f"not sent: {circuit.reason}", retry_after_s=wait_s)


def _spread(wait_s: float) -> float:
    return wait_s + random.random() * min(wait_s, MOST_AT_ONCE_S)  # noqa: S311
