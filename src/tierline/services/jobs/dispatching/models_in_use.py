"""Which model a job asks first, and which models each pool's current features ask.

Versions are immutable, so what was read of one is cached.
"""

import time
from typing import Any, NamedTuple

import structlog
from psycopg import Connection

from tierline.base.recent import Recent
from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.rules.queues import lane
from tierline.storage.features.features import current_version_ids, load_version

MOST_FEATURES = 500
MOST_TIERS = 5_000
MOST_UNREADABLE = 500
LOOK_S = 5.0  # the longest delay until a newly applied feature is noticed

log = structlog.get_logger(__name__)


class TierInUse(NamedTuple):
    """What a dispatcher must know about one tier of one feature version."""

    models: tuple[str, ...]  # provider:model, in order of fallback
    last: bool  # no tier follows it
    calls: int  # the calls of one attempt, if nothing fails


class ModelsInUse:
    """A dispatcher's cache of features."""

    def __init__(self) -> None:
        self._features: Recent[int, Feature] = Recent(MOST_FEATURES)
        self._unreadable: Recent[int, bool] = Recent(MOST_UNREADABLE)
        self._of_tier: Recent[tuple[int, str], TierInUse] = Recent(MOST_TIERS)
        self._by_pool: dict[str, set[str]] = {}
        self._looked_s: float | None = None

    def of_tier(self, connection: Connection[Any], version_id: int, name: str) -> TierInUse | None:
        """The tier `name` of this version. None if this release cannot read the version; its jobs
        are left to a dispatcher that can.
        """
        tier_in_use = self._of_tier.get((version_id, name))
        if tier_in_use is None:
            feature = self._feature(connection, version_id)
            if feature is None:
                return None
            tier = feature.tier(name)
            tier_in_use = TierInUse(
                models=tuple(str(model) for model in tier.models),
                last=feature.next_tier(name) is None,
                calls=len(tier.steps) + feature.answers_on(tier),
            )
            self._of_tier.keep((version_id, name), tier_in_use)
        return tier_in_use

    def of_pool(self, connection: Connection[Any], pool: str) -> set[str]:
        """The models that jobs submitted now ask first in this pool."""
        now_s = time.monotonic()
        if self._looked_s is None or now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            self._by_pool = {}
            for version_id in current_version_ids(connection):
                feature = self._feature(connection, version_id)
                if feature is None:
                    continue
                for tier in feature.allowed_tiers():
                    queue = lane(feature.place(feature.tiers.index(tier)), backfill=False)
                    self._by_pool.setdefault(queue, set()).add(str(tier.models[0]))
        return self._by_pool.get(pool, set())

    def _feature(self, connection: Connection[Any], version_id: int) -> Feature | None:
        feature = self._features.get(version_id)
        if feature is None and self._unreadable.get(version_id) is None:
            try:
                feature = self._features.keep(version_id, load_version(connection, version_id))
            except UnreadableFeature as error:
                self._unreadable.keep(version_id, True)
                log.error("feature_version_unreadable", version_id=version_id, reason=error.message)
        return feature
