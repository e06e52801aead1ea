"""Choosing among the later tiers of a feature, in a worker."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from tierline.features import Feature
from tierline.routing.later_tiers import Seen, Step, steps
from tierline.storage.jobs.claims import Claim
from tierline.storage.steering.tiers_seen import tiers_seen

log = structlog.get_logger(__name__)

LOOK_S = 60.0  # how old what a process knows of the tiers may be; it is rolled up once a minute
CONNECTION_S = 1.0  # for a connection of the pool that the attempts share


@dataclass
class LaterTiers:
    """What this process knows of how tiers fare. May be shared by threads.

    One thread reads it anew, aside from any attempt: none waits for that or fails by it. Before the
    first reading nothing is known, which speaks against no tier.
    """

    pool: ConnectionPool[Any]
    _known: Mapping[tuple[int, str], Seen] = field(default_factory=dict)
    _due_s: float = 0.0  # monotonic
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def steps(self, feature: Feature, taken: Claim) -> list[tuple[int, Step]]:
        """The tiers after the claim's that the feature allows, by their index, each with whether it
        is asked. Nothing is looked up for features without a choice.
        """
        later = [
            (index, tier)
            for index, tier in enumerate(feature.tiers)
            if index > taken.tier_index and tier in feature.allowed_tiers()
        ]
        target = feature.latency_target_ms
        if not later or (len(later) == 1 and target is None):
            return [(index, Step(Seen(tier.name), None)) for index, tier in later]
        left_s = None if target is None else target / 1000 - _age_s(taken)
        self._look()
        known = self._known
        version = taken.feature_version_id
        seen = [known.get((version, tier.name), Seen(tier.name)) for _, tier in later]
        found = steps(seen, left_s)
        return [(index, step) for (index, _), step in zip(later, found, strict=True)]

    def read(self) -> None:
        """Read anew how tiers fare. Raises psycopg.Error."""
        with self.pool.connection(timeout=CONNECTION_S) as connection:
            self._known = tiers_seen(connection)

    def _look(self) -> None:
        """Let a thread read anew when it is time, unless one does."""
        if time.monotonic() < self._due_s or not self._reading.acquire(blocking=False):
            return
        self._due_s = time.monotonic() + LOOK_S
        try:
            threading.Thread(target=self._read_aside, name="tiers-seen", daemon=True).start()
        except RuntimeError:  # no thread is to be had: the next time
            self._reading.release()

    def _read_aside(self) -> None:
        try:
            self.read()
        except psycopg.Error as error:
            log.warning("tiers_not_read", error=type(error).__name__)
        finally:
            self._reading.release()


def _age_s(taken: Claim) -> float:
    """Seconds since the job was submitted."""
    return taken.age_s + (time.monotonic() - taken.read_at_s)
