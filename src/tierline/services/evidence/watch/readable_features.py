"""The features of outcomes. Each version is read once; versions of a later release are skipped."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypedDict, TypeVar

import structlog
from psycopg import Connection

from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.storage.features.features import load_version

log = structlog.get_logger(__name__)


class OfVersion(TypedDict):
    """A row about a feature version."""

    feature_version_id: int


Row = TypeVar("Row", bound=OfVersion)


class ReadableFeatures:
    """The features that one round has read, by the `feature_version_id` of its rows."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._known: dict[int, Feature] = {}

    def readable(self, read: Callable[[Collection[int]], Sequence[Row]]) -> Sequence[Row]:
        """Rows whose features can all be read. If some versions are of a later release, `read` is
        called again and excludes them. Processes of that release compare their outcomes.
        """
        unreadable: set[int] = set()
        while True:
            rows = read(unreadable)
            new = set[int]()
            for row in rows:
                try:
                    self.of(row)
                except UnreadableFeature as error:
                    if row["feature_version_id"] not in new:
                        log.warning("outcomes_not_compared", reason=error.message)
                    new.add(row["feature_version_id"])
            if not new:
                return rows
            unreadable |= new

    def of(self, row: OfVersion) -> Feature:
        """The feature of the row's version. Raises UnreadableFeature."""
        id = row["feature_version_id"]
        if id not in self._known:
            self._known[id] = load_version(self._connection, id)
        return self._known[id]
