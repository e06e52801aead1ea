"""Trained artefacts in a worker: the one in force is read once, and looked for again and again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.recent import Recent
from tierline.storage.db.repeat import repeat
from tierline.storage.steering.artefacts import Table, artefact_in_force

log = structlog.get_logger(__name__)

LOOK_S = 5.0  # how late a new one, or a withdrawal, is seen
MOST_KEPT = 100  # of megabytes each

T = TypeVar("T")


@dataclass(frozen=True)
class Kept(Generic[T]):
    """The artefact in force of one feature and recipe, as this process last saw it."""

    looked_at_s: float
    id: int | None
    artefact: T | None  # None: there is none, or this process cannot use it


@dataclass
class Artefacts(Generic[T]):
    """The artefacts of one table. May be shared by threads."""

    pool: ConnectionPool[Any]
    table: Table
    read: Callable[[Any, bytes | None], T]  # raises ImportError or ValueError
    _known: Recent[tuple[str, str], Kept[T]] = field(default_factory=lambda: Recent(MOST_KEPT))

    def in_force(self, feature: str, recipe: str, keep_on: Callable[[], bool]) -> Kept[T]:
        """The newest that is not withdrawn. Raises GaveUp."""
        key = (feature, recipe)
        known = self._known.get(key)
        if known is not None and time.monotonic() - known.looked_at_s < LOOK_S:
            return known
        row = repeat(
            self.pool,
            lambda connection: artefact_in_force(
                connection, self.table, feature, recipe, None if known is None else known.id
            ),
            keep_on=keep_on,
        )
        now_s = time.monotonic()
        if row is None:
            return self._known.keep(key, Kept(now_s, None, None))
        if known is not None and row[0] == known.id:
            return self._known.keep(key, Kept(now_s, known.id, known.artefact))
        return self._known.keep(key, Kept(now_s, row[0], self._usable(*row)))

    def _usable(self, id: int, document: Any, packed: bytes | None) -> T | None:
        try:
            return self.read(document, packed)
        except (ImportError, ValueError) as error:
            log.warning("artefact_not_usable", table=self.table, id=id, error=type(error).__name__)
            return None
