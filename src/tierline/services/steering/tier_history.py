"""A worker's figures on the tiers' recent attempts, and which later tiers are worth asking."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from tierline.features import Feature
from tierline.routing.later_tiers import LaterTier, TierStats, worth_calling
from tierline.storage.jobs.claims import Claim
from tierline.storage.steering.tiers_seen import tiers_seen

log = structlog.get_logger(__name__)

LOOK_S = 60.0  # between two readings; the figures are summarised once a minute
CONNECTION_S = 1.0  # the wait for a connection of the pool that the attempts share


@dataclass
class TierHistory:
    """The tiers' figures in this process. Thread-safe.

    A separate thread reads them, so that no attempt waits or fails because of them. Before the
    first reading no tier is skipped.
    """

    pool: ConnectionPool[Any]
    figures: Mapping[tuple[int, str], TierStats] = field(default_factory=dict)
    due_s: float = 0.0  # monotonic time of the next reading
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def worth_calling(self, feature: Feature, claim: Claim) -> list[tuple[int, LaterTier]]:
        """The tiers after the claim's that the feature allows, by their index, each with the
        reason to skip it. Features without a choice among tiers need no figures.
        """
        later = [
            (index, tier.name)
            for index, tier in enumerate(feature.tiers)
            if index > claim.tier_index and tier in feature.allowed_tiers()
        ]
        target = feature.latency_target_ms
        if not later or (len(later) == 1 and target is None):
            return [(index, LaterTier(TierStats(name), None)) for index, name in later]
        left_s = None if target is None else target / 1000 - _age_s(claim)
        self.look()
        figures, version = self.figures, claim.feature_version_id
        stats = [figures.get((version, name), TierStats(name)) for _, name in later]
        worth = worth_calling(stats, left_s)
        return [(index, tier) for (index, _), tier in zip(later, worth, strict=True)]

    def read(self) -> None:
        """Read the figures. Raises psycopg.Error."""
        with self.pool.connection(timeout=CONNECTION_S) as connection:
            self.figures = tiers_seen(connection)

    def look(self) -> None:
        """Start a thread that reads the figures, if they are due and no thread is reading."""
        if time.monotonic() < self.due_s or not self._reading.acquire(blocking=False):
            return
        self.due_s = time.monotonic() + LOOK_S
        try:
            threading.Thread(target=self._read_aside, name="tiers-seen", daemon=True).start()
        except RuntimeError:  # no thread can be started now; the next attempt tries again
            self._reading.release()

    def _read_aside(self) -> None:
        try:
            self.read()
        except psycopg.Error as error:
            log.warning("tiers_not_read", error=type(error).__name__)
        finally:
            self._reading.release()


def _age_s(claim: Claim) -> float:
    """Seconds since the job was submitted."""
    return claim.age_s + (time.monotonic() - claim.read_at_s)
