"""Jobs that could not be hinted because their row was locked."""

import time
from collections.abc import Iterable
from uuid import UUID

LEFT_OUT_S = 5.0  # how long such a job is left out of the choice
MOST = 2_000  # the most jobs left out; each choice is given their ids


class LockedJobs:
    """Jobs that choices leave out for a while, so that other jobs get their turn."""

    def __init__(self) -> None:
        self._until_s: dict[UUID, float] = {}  # monotonic

    def ids(self) -> list[UUID]:
        now_s = time.monotonic()
        self._until_s = {job: until_s for job, until_s in self._until_s.items() if until_s > now_s}
        return list(self._until_s)

    def add(self, job_ids: Iterable[UUID]) -> None:
        until_s = time.monotonic() + LEFT_OUT_S
        self._until_s |= dict.fromkeys(job_ids, until_s)
        if len(self._until_s) > MOST:
            self._until_s = {}
