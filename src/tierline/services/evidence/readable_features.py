"""The features of outcomes, each version read once, without those that a later release wrote."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import structlog
from psycopg import Connection

from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.storage.features.features import load_version

log = structlog.get_logger(__name__)

Row = Mapping[str, Any]


class ReadableFeatures:
    """What one round knows of features, by the `feature_version_id` of its rows."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._known: dict[int, Feature] = {}

    def readable(self, read: Callable[[Collection[int]], Sequence[Row]]) -> Sequence[Row]:
        """Rows whose features can all be read: `read` is told which versions are of a later
        release, and is asked again without them. They are that release's to compare.
        """
        unreadable: set[int] = set()
        while True:
            rows = read(unreadable)
            found = set[int]()
            for row in rows:
                try:
                    self.of(row)
                except UnreadableFeature as error:
                    if row["feature_version_id"] not in found:
                        log.warning("outcomes_not_compared", reason=error.message)
                    found.add(row["feature_version_id"])
            if not found:
                return rows
            unreadable |= found

    def of(self, row: Row) -> Feature:
        """The feature of the row's version. Raises UnreadableFeature."""
        id = row["feature_version_id"]
        if id not in self._known:
            self._known[id] = load_version(self._connection, id)
        return self._known[id]
