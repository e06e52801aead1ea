"""Choosing among the later tiers of a feature, in a worker."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg_pool import ConnectionPool

from tierline.features import Feature
from tierline.recent import Recent
from tierline.routing.cascade import Seen, Step, steps
from tierline.storage.claims import Claim
from tierline.storage.repeat import repeat
from tierline.storage.tiers_seen import tiers_seen

LOOK_S = 60.0  # how old what a process knows of the tiers may be
MOST_KEPT = 500


@dataclass
class Cascade:
    """What this process knows of how tiers fare. May be shared by threads."""

    pool: ConnectionPool[Any]
    _known: Recent[int, tuple[float, list[Seen]]] = field(default_factory=lambda: Recent(MOST_KEPT))

    def steps(
        self, feature: Feature, taken: Claim, keep_on: Callable[[], bool]
    ) -> list[tuple[int, Step]]:
        """The tiers after the claim's that the feature allows, by their index, each with whether it
        is asked. Asks the database for features with a choice only. Raises GaveUp.
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
        seen = {one.name: one for one in self._seen(feature, taken, keep_on)}
        found = steps([seen[tier.name] for _, tier in later], left_s)
        return [(index, step) for (index, _), step in zip(later, found, strict=True)]

    def _seen(self, feature: Feature, taken: Claim, keep_on: Callable[[], bool]) -> list[Seen]:
        version = taken.feature_version_id
        known = self._known.get(version)
        if known is None or time.monotonic() - known[0] > LOOK_S:
            names = [tier.name for tier in feature.tiers]
            rows = repeat(
                self.pool,
                lambda connection: tiers_seen(connection, version, names),
                keep_on=keep_on,
            )
            known = self._known.keep(version, (time.monotonic(), rows))
        return known[1]


def _age_s(taken: Claim) -> float:
    """Seconds since the job was submitted."""
    return taken.age_s + (time.monotonic() - taken.read_at_s)
