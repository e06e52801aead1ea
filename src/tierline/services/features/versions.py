"""A worker's cache of feature versions. They never change, so each is read once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.recent import Recent
from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.storage.db.repeat import repeat
from tierline.storage.features.features import load_version

log = structlog.get_logger(__name__)

MOST_KEPT = 500  # each draft that somebody tries is one more version


@dataclass
class FeatureVersions:
    """The versions that this process used recently. Thread-safe."""

    pool: ConnectionPool[Any]
    _kept: Recent[int, Feature] = field(default_factory=lambda: Recent(MOST_KEPT))
    _unreadable: Recent[int, bool] = field(default_factory=lambda: Recent(MOST_KEPT))

    def of(self, version_id: int, keep_on: Callable[[], bool]) -> Feature:
        """The feature of that version. Raises GaveUp, and UnreadableFeature if a later release
        wrote the version; that is logged once.
        """
        kept = self._kept.get(version_id)
        if kept is not None:
            return kept
        try:
            feature = repeat(
                self.pool,
                lambda connection: load_version(connection, version_id),
                keep_on=keep_on,
            )
        except UnreadableFeature as error:
            if self._unreadable.get(version_id) is None:
                self._unreadable.keep(version_id, True)
                log.error("feature_version_unreadable", version_id=version_id, reason=error.message)
            raise
        return self._kept.keep(version_id, feature)
