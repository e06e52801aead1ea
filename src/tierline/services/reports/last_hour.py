"""The results of the last hour, cached: reading them takes longer the more calls there were."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

from tierline.rules.verdicts import CHECK_FAILURES
from tierline.storage.jobs import queue_reads
from tierline.storage.reports import last_hour
from tierline.storage.reports.last_hour import Fared
from tierline.views.reports.installation import FailedCheck

__all__ = ["Fared", "LastHour"]

EVERY_S = 3.0
SHARE = 20  # … or this many times the query's duration: queries use at most 5% of a core


class LastHour:
    """The cache. One per process, used from the threads of its routes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until_s = -1.0
        self._fared: Sequence[Fared] = ()
        self._ended: Mapping[str, int] = {}

    def fared(self, connection: Connection[Any]) -> Sequence[Fared]:
        """By feature, tier, model and verdict. During a query, other threads get the old value."""
        self._refresh(connection)
        return self._fared

    def ended(self, connection: Connection[Any]) -> Mapping[str, int]:
        """How many of the jobs submitted in the last hour ended, by status."""
        self._refresh(connection)
        return self._ended

    def _refresh(self, connection: Connection[Any]) -> None:
        if time.monotonic() < self._until_s or not self._lock.acquire(blocking=self._until_s < 0):
            return
        try:
            began_s = time.monotonic()
            if began_s >= self._until_s:
                self._fared = last_hour.fared(connection)
                self._ended = queue_reads.ended_lately(connection)
                ended_s = time.monotonic()
                self._until_s = ended_s + max(EVERY_S, SHARE * (ended_s - began_s))
        finally:
            self._lock.release()

    def failed_checks(self, connection: Connection[Any]) -> list[FailedCheck]:
        """Which checks failed, and how often."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for one in self.fared(connection):
            if one.verdict in CHECK_FAILURES:
                counts[one.feature, one.tier, one.verdict] += one.attempts
        return [
            FailedCheck(feature=feature, tier=tier, verdict=verdict, attempts=attempts)
            for (feature, tier, verdict), attempts in sorted(counts.items())
        ]
