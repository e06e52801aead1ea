"""Which workers are alive and which hints are lost, concluded from repeated observations.

The caller passes in what it saw and its own monotonic clock, in seconds. Times that another process
wrote are never used. The only state is the memory of earlier observations.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

Seen = TypeVar("Seen")


@dataclass
class _Unchanged(Generic[Seen]):
    value: Seen
    since_s: float


@dataclass
class LeaseWatch:
    """Finds claims whose heartbeat has not changed for `lease_s` while the database answered.

    `blind_s` is the longest gap between two observations that still counts as watching. After a
    longer gap, or after `interrupted()`, every lease has its full time again. So neither an outage
    nor a frozen dispatcher costs a worker its jobs.
    """

    lease_s: float
    blind_s: float
    _claims: dict[UUID, _Unchanged[tuple[UUID, int] | None]] = field(default_factory=dict)
    _last_s: float | None = None

    def interrupted(self) -> None:
        """The last observation failed, so nothing is known since the one before it."""
        self._last_s = None

    def look(
        self, now_s: float, tokens: Iterable[UUID], beats: Mapping[UUID, tuple[UUID, int]]
    ) -> list[UUID]:
        """The tokens of lost leases. `beats` maps a token to its worker and that worker's beat."""
        watched = self._last_s is not None and now_s - self._last_s <= self.blind_s
        self._last_s = now_s
        before, self._claims = self._claims, {}
        lost = []
        for token in tokens:
            beat = beats.get(token)
            unchanged = before.get(token)
            if unchanged is None or unchanged.value != beat or not watched:
                unchanged = _Unchanged(beat, now_s)
            self._claims[token] = unchanged
            if now_s - unchanged.since_s >= self.lease_s:
                lost.append(token)
        return lost


@dataclass
class AliveWatch:
    """Tells live worker processes from rows that dead ones left behind."""

    lease_s: float
    _workers: dict[UUID, _Unchanged[int]] = field(default_factory=dict)

    def look(self, now_s: float, beats: Mapping[UUID, int]) -> frozenset[UUID]:
        """The workers that seem to be alive. A new row counts as alive at once."""
        for gone in self._workers.keys() - beats.keys():
            del self._workers[gone]
        for worker, beat in beats.items():
            unchanged = self._workers.get(worker)
            if unchanged is None or unchanged.value != beat:
                self._workers[worker] = _Unchanged(beat, now_s)
        return frozenset(
            worker
            for worker, unchanged in self._workers.items()
            if now_s - unchanged.since_s < self.lease_s
        )

    def still_since_s(self, worker: UUID) -> float | None:
        """When its beat was last seen to change, on the caller's clock."""
        unchanged = self._workers.get(worker)
        return None if unchanged is None else unchanged.since_s


@dataclass
class HintWatch:
    """Finds hints that no worker will ever receive.

    A hint is lost only if its job still waits while, for `lost_s`, a later hint of its queue has
    been taken or the queue's list in the broker has been empty. If a queue does not move, its hints
    are only waiting.
    """

    lost_s: float
    # hint number → queue, at the last observation
    _out: dict[int, str] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)  # queue → the latest hint that was taken
    _suspected: dict[int, float] = field(default_factory=dict)  # hint number → suspected lost since

    def look(
        self, now_s: float, out: Mapping[int, str], empty_queues: Collection[str]
    ) -> list[int]:
        """The lost hints among the numbers in `out`. `empty_queues` are the queues empty in the
        broker.
        """
        for number, queue in self._out.items():
            if number not in out:
                self._taken[queue] = max(number, self._taken.get(queue, number))
        self._out = dict(out)
        suspected: dict[int, float] = {}
        for number, queue in out.items():
            if queue in empty_queues or number < self._taken.get(queue, 0):
                suspected[number] = self._suspected.get(number, now_s)
        self._suspected = suspected
        return [number for number, since_s in suspected.items() if now_s - since_s >= self.lost_s]
