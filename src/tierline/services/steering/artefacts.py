"""A worker's cache of trained artefacts: each is read once, and regularly checked for a new one."""

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

LOOK_S = 5.0  # the longest delay until a new artefact or a withdrawal is noticed
MOST_KEPT = 100  # of some megabytes each

T = TypeVar("T")


@dataclass(frozen=True)
class CachedArtefact(Generic[T]):
    """The artefact in force for one feature and recipe, as this process last read it."""

    looked_at_s: float
    id: int | None
    artefact: T | None  # None: there is none, or this process cannot use it


@dataclass
class Artefacts(Generic[T]):
    """The artefacts of one table. Thread-safe."""

    pool: ConnectionPool[Any]
    table: Table
    read: Callable[[Any, bytes | None], T]  # raises ImportError or ValueError
    _cache: Recent[tuple[str, str], CachedArtefact[T]] = field(
        default_factory=lambda: Recent(MOST_KEPT)
    )

    def in_force(self, feature: str, recipe: str, keep_on: Callable[[], bool]) -> CachedArtefact[T]:
        """The newest artefact that is not withdrawn. Raises GaveUp."""
        key = (feature, recipe)
        cached = self._cache.get(key)
        if cached is not None and time.monotonic() - cached.looked_at_s < LOOK_S:
            return cached
        row = repeat(
            self.pool,
            lambda connection: artefact_in_force(
                connection, self.table, feature, recipe, None if cached is None else cached.id
            ),
            keep_on=keep_on,
        )
        now_s = time.monotonic()
        if row is None:
            return self._cache.keep(key, CachedArtefact(now_s, None, None))
        if cached is not None and row[0] == cached.id:
            return self._cache.keep(key, CachedArtefact(now_s, cached.id, cached.artefact))
        return self._cache.keep(key, CachedArtefact(now_s, row[0], self._usable(*row)))

    def _usable(self, id: int, document: Any, packed: bytes | None) -> T | None:
        try:
            return self.read(document, packed)
        except (ImportError, ValueError) as error:
            log.warning("artefact_not_usable", table=self.table, id=id, error=type(error).__name__)
            return None
