"""Which waiting jobs are held because their models have open circuits or no requests left.

A job that waits in its queue costs nothing. A job that is claimed although no model can answer it
costs an attempt. So hints go out no faster than the rate limits allow. The workers enforce the
exact limit.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from tierline.rules.circuits import OPERATORS
from tierline.rules.rate_limits import Bucket, RateLimit, limits_of
from tierline.rules.scheduling import Candidate
from tierline.services.jobs.dispatching.models_in_use import ModelsInUse, TierInUse
from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit
from tierline.storage.jobs import hints
from tierline.storage.jobs.hints import Due, Head

LOOK_S = 0.25
PROBE_EVERY_S = 2.0
"""Time between two probes of one model: the first job may still be in the broker."""
WAITED_OUT = frozenset(cause.name for cause in OPERATORS)
"""Causes that every job waits for. In another outage, a job with a later tier escalates in time."""


class HeldJobs:
    """The circuits and rate limits as a dispatcher sees them; one per process.

    A job that was held for `hold_s` seconds gets a hint all the same, so that a worker fails it.
    """

    def __init__(self, limits: Mapping[str, RateLimit], hold_s: float) -> None:
        self._hold_s = hold_s
        self._limits = {name: limit for name, limit in limits.items() if limit.requests}
        self._paces: dict[str, Bucket] = {}
        self._standing: dict[str, Circuit] = {}
        self._read_s: float | None = None  # monotonic
        self._probed_s: dict[str, float] = {}

    def may_go(
        self, connection: Connection[Any], heads: Iterable[Head], models: ModelsInUse
    ) -> list[Head]:
        """The groups in `heads` that may have a job that needs a hint."""
        now_s = self._look(connection)
        if not self._standing and not self._limits:
            return list(heads)
        room = self._room(now_s)
        possible = []
        for head in heads:
            tier = models.of_tier(connection, head.version_id, head.tier)
            if tier is not None and (
                self._choice(tier, room, now_s) is not None
                or self._held_for_too_long(tier, head, now_s) is not None
            ):
                possible.append(head)
        return possible

    def without_held(
        self, connection: Connection[Any], due: Iterable[Due], models: ModelsInUse
    ) -> list[Due]:
        """`due` without the held jobs. One job per model that is due for a probe stays in."""
        now_s = self._look(connection)
        if not self._standing and not self._limits:
            return list(due)
        room = self._room(now_s)
        kept = []
        waited_out: dict[UUID, datetime] = {}
        for job in due:
            tier = models.of_tier(connection, job.version_id, job.tier)
            if tier is None:
                continue
            choice = self._choice(tier, room, now_s)
            if choice is None:
                since = self._held_for_too_long(tier, job, now_s)
                if since is None:
                    continue
                waited_out[job.job_id] = since
            else:
                if choice.probe:
                    self._probed_s[choice.model] = now_s
                for name in choice.limits:
                    room[name] -= tier.calls
            kept.append(job)
        if waited_out:
            hints.note_held(connection, waited_out)
        return kept

    def _look(self, connection: Connection[Any]) -> float:
        """Read the circuits if the last read is older than LOOK_S. Returns the monotonic time."""
        now_s = time.monotonic()
        if self._read_s is None or now_s - self._read_s > LOOK_S:
            self._standing = {one.model: one for one in circuits.standing(connection)}
            self._read_s = now_s
        return now_s

    def _room(self, now_s: float) -> dict[str, int]:
        return {name: self._pace(name, now_s).room(now_s) for name in self._limits}

    def _held_for_too_long(self, tier: TierInUse, job: Due | Head, now_s: float) -> datetime | None:
        """Since when the job has been held, if that is too long; otherwise None. The time counts
        from when the last circuit of its models opened, or from when the job was due, if later.
        """
        standing = [self._standing.get(model) for model in tier.models]
        opened = [one.opened_at for one in standing if one is not None and one.opened_at]
        if len(opened) < len(tier.models):
            return None
        since = max(*opened, job.run_after)
        read = next(one for one in standing if one is not None)
        held_s = (read.read_at - since).total_seconds() + now_s - (self._read_s or now_s)
        return since if held_s > self._hold_s else None

    def sent(self, jobs: Iterable[Candidate]) -> None:
        """Count these chosen jobs against the rate limits."""
        for job in jobs:
            for name in limits_of(job.model, self._limits):
                self._pace(name, time.monotonic()).take(job.calls)

    def _pace(self, name: str, now_s: float) -> Bucket:
        pace = self._paces.get(name)
        if pace is None:
            pace = self._paces[name] = Bucket(self._limits[name].requests or 1, now_s)
        return pace

    def _choice(self, tier: TierInUse, room: dict[str, int], now_s: float) -> "_ModelChoice | None":
        """The model that a job of the tier could ask now, or None if none takes calls."""
        ago_s = now_s - (self._read_s or now_s)
        for model in tier.models:
            limits = limits_of(model, self._limits)
            if any(room[name] <= 0 for name in limits):
                continue
            circuit = self._standing.get(model)
            if circuit is None:
                return _ModelChoice(model, limits)
            if circuit.paused_s > ago_s:
                continue
            if not circuit.open or (circuit.cause not in WAITED_OUT and not tier.last):
                return _ModelChoice(model)
            due = (circuit.probe_in_s or 0.0) <= ago_s
            if due and now_s - self._probed_s.get(model, -PROBE_EVERY_S) >= PROBE_EVERY_S:
                return _ModelChoice(model, probe=True)
        return None


class _ModelChoice(NamedTuple):
    """The model that a job would ask."""

    model: str
    limits: Collection[str] = ()  # the providers' limits that the job counts against
    probe: bool = False  # the circuit is open, and this job probes it
