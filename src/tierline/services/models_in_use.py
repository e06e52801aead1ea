"""Which model a job asks first, and which models the features as they are now ask in each pool.

Versions are immutable, so that what was read of one is kept.
"""

import time
from typing import Any

from psycopg import Connection

from tierline.features import Feature
from tierline.queues import lane
from tierline.recent import Recent
from tierline.storage.features import current_version_ids, load_version

MOST_FEATURES = 500
MOST_TIERS = 5_000
LOOK_S = 5.0  # how late a newly applied feature is seen


class ModelsInUse:
    """What a dispatcher remembers of features."""

    def __init__(self) -> None:
        self._features: Recent[int, Feature] = Recent(MOST_FEATURES)
        self._asked_first: Recent[tuple[int, str], str] = Recent(MOST_TIERS)
        self._of_tier: Recent[tuple[int, str], tuple[tuple[str, ...], bool]] = Recent(MOST_TIERS)
        self._by_pool: dict[str, set[str]] = {}
        self._looked_s: float | None = None

    def asked_first(self, connection: Connection[Any], version_id: int, tier: str) -> str:
        """The model, as provider:model, that jobs of this version ask first on `tier`."""
        known = self._asked_first.get((version_id, tier))
        if known is None:
            known = str(self._feature(connection, version_id).tier(tier).models[0])
            self._asked_first.keep((version_id, tier), known)
        return known

    def of_tier(
        self, connection: Connection[Any], version_id: int, tier: str
    ) -> tuple[tuple[str, ...], bool]:
        """All models that these jobs may ask on `tier`, and whether it is the last they have."""
        known = self._of_tier.get((version_id, tier))
        if known is None:
            feature = self._feature(connection, version_id)
            models = tuple(str(model) for model in feature.tier(tier).models)
            known = (models, feature.next_tier(tier) is None)
            self._of_tier.keep((version_id, tier), known)
        return known

    def of_pool(self, connection: Connection[Any], pool: str) -> set[str]:
        """The models that jobs submitted now ask first in the pool of that name."""
        now_s = time.monotonic()
        if self._looked_s is None or now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            self._by_pool = {}
            for version_id in current_version_ids(connection):
                feature = self._feature(connection, version_id)
                for tier in feature.allowed_tiers():
                    queue = lane(feature.tiers.index(tier), backfill=False)
                    self._by_pool.setdefault(queue, set()).add(str(tier.models[0]))
        return self._by_pool.get(pool, set())

    def _feature(self, connection: Connection[Any], version_id: int) -> Feature:
        known = self._features.get(version_id)
        if known is None:
            known = self._features.keep(version_id, load_version(connection, version_id))
        return known
