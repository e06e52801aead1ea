"""Which waiting jobs need no hint yet: those that could only find their models left alone.

A job that waits in the queue costs nothing; one that is claimed to find that it cannot be answered
costs an attempt.
"""

import time
from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from tierline.circuits import OPERATORS
from tierline.services.models_in_use import ModelsInUse
from tierline.storage import circuits
from tierline.storage.circuits import Circuit
from tierline.storage.hints import Due

LOOK_S = 0.25
PROBE_EVERY_S = 2.0
"""Between two jobs let through to probe one model: the first may still be in the broker."""
WAITED_OUT = frozenset(cause.name for cause in OPERATORS)
"""What every job waits for. In an outage, one with another tier left goes on to it in time."""


class LeftAlone:
    """The circuits as a dispatcher sees them; one per process."""

    def __init__(self) -> None:
        self._standing: dict[str, Circuit] = {}
        self._read_s: float | None = None  # monotonic
        self._probed_s: dict[str, float] = {}

    def without_held(
        self, connection: Connection[Any], due: Iterable[Due], models: ModelsInUse
    ) -> list[Due]:
        """`due` without the jobs that need no hint, but for one to probe each model that is due."""
        now_s = time.monotonic()
        if self._read_s is None or now_s - self._read_s > LOOK_S:
            self._standing = {one.model: one for one in circuits.standing(connection)}
            self._read_s = now_s
        if not self._standing:
            return list(due)
        found = []
        for job in due:
            asked, last = models.of_tier(connection, job.version_id, job.tier)
            if not self._holds(asked, last=last, now_s=now_s):
                found.append(job)
        return found

    def _holds(self, models: Iterable[str], *, last: bool, now_s: float) -> bool:
        ago_s = now_s - (self._read_s or now_s)
        for model in models:
            found = self._standing.get(model)
            if found is None:
                return False
            if found.paused_s > ago_s:
                continue
            if not found.open or (found.cause not in WAITED_OUT and not last):
                return False
            due = (found.probe_in_s or 0.0) <= ago_s
            if due and now_s - self._probed_s.get(model, -PROBE_EVERY_S) >= PROBE_EVERY_S:
                self._probed_s[model] = now_s
                return False
        return True
