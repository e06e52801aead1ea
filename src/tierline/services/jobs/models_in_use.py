"""Which model a job asks first, and which models the features as they are now ask in each pool.

Versions are immutable, so that what was read of one is kept.
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
LOOK_S = 5.0  # how late a newly applied feature is seen

log = structlog.get_logger(__name__)


class TierInUse(NamedTuple):
    """What a dispatcher has to know of one tier of one feature version."""

    models: tuple[str, ...]  # provider:model, in order of fallback
    last: bool  # a job has no tier after it
    calls: int  # that a job takes there, when nothing goes wrong


class ModelsInUse:
    """What a dispatcher remembers of features."""

    def __init__(self) -> None:
        self._features: Recent[int, Feature] = Recent(MOST_FEATURES)
        self._unreadable: Recent[int, bool] = Recent(MOST_UNREADABLE)
        self._of_tier: Recent[tuple[int, str], TierInUse] = Recent(MOST_TIERS)
        self._by_pool: dict[str, set[str]] = {}
        self._looked_s: float | None = None

    def of_tier(self, connection: Connection[Any], version_id: int, name: str) -> TierInUse | None:
        """The tier of that name, as jobs of this version meet it; None: this release cannot read
        the version, whose jobs are for a dispatcher that can.
        """
        known = self._of_tier.get((version_id, name))
        if known is None:
            feature = self._feature(connection, version_id)
            if feature is None:
                return None
            tier = feature.tier(name)
            known = TierInUse(
                models=tuple(str(model) for model in tier.models),
                last=feature.next_tier(name) is None,
                calls=len(tier.steps) + feature.answers_on(tier),
            )
            self._of_tier.keep((version_id, name), known)
        return known

    def of_pool(self, connection: Connection[Any], pool: str) -> set[str]:
        """The models that jobs submitted now ask first in the pool of that name."""
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
        known = self._features.get(version_id)
        if known is None and self._unreadable.get(version_id) is None:
            try:
                known = self._features.keep(version_id, load_version(connection, version_id))
            except UnreadableFeature as error:
                self._unreadable.keep(version_id, True)
                log.error("feature_version_unreadable", version_id=version_id, reason=error.message)
        return known
