"""What waits in the queues, as the dispatcher that leads remembers it between its choices.

Groups enter by `run_after`: a job that came due since the last look is an arrival, whether it was
just submitted, escalated or retried. A look reads the last moments again, because transactions
commit late; about once a second it reads further back. A full scan finds whatever escaped. It is a
search in another thread, because beside a held snapshot it takes long.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from psycopg import Connection

from tierline.rules.queues import JOBS
from tierline.rules.waiting_groups import GroupKey, Kind, WaitingGroups
from tierline.services.jobs.dispatching.out_jobs import Rescan
from tierline.storage.jobs import hints
from tierline.storage.jobs.hints import Head

SOON_S = 0.2  # how late most transactions commit after their jobs' run_after
LATE_S = 5.0  # how late a part of a batch commits
LATE_EVERY_S = 1.0
ACCOUNTS_S = 1.0  # how old the limits of an account may be


class Memory:
    """The waiting groups of each queue, and the limits of their accounts."""

    def __init__(self) -> None:
        self._groups = {queue: WaitingGroups() for queue in JOBS}
        self._everything = True  # is read at the next look
        self._search = Rescan()
        self._escaped: SimpleQueue[tuple[str, GroupKey, datetime]] = SimpleQueue()
        self._looked_s = self._late_s = 0.0  # monotonic
        self._accounts: dict[int, tuple[float, tuple[int, int | None]]] = {}

    def rescan(self) -> None:
        """Jobs returned to a queue that no arrival shows: read everything at the next look."""
        self._everything = True

    def search(self, connection: Connection[Any]) -> None:
        """Find groups that escaped, for the next look, if that is due. From one other thread, on a
        connection of its own.
        """
        if not self._search.due():
            return
        self._search.begins()
        for queue in JOBS:
            for key, run_after in _waiting(connection, queue):
                self._escaped.put((queue, key, run_after))
        self._search.ended()

    def look(self, connection: Connection[Any]) -> None:
        """Learn what came due since the last look."""
        now_s = time.monotonic()
        if self._everything:
            self._everything = False  # before it is read: jobs may return meanwhile
            try:
                for queue, groups in self._groups.items():
                    groups.replace(_waiting(connection, queue))
            except BaseException:
                self._everything = True
                raise
            self._looked_s = self._late_s = now_s
            return
        self._add_escaped()
        late = now_s - self._late_s >= LATE_EVERY_S
        since_s = now_s - self._late_s + LATE_S if late else now_s - self._looked_s + SOON_S
        for one in hints.arrived(connection, JOBS, since_s):
            key = GroupKey(one.account_id, Kind(one.version_id, one.tier))
            self._groups[one.queue].arrived(key, one.run_after)
        self._looked_s = now_s
        if late:
            self._late_s = now_s

    def _add_escaped(self) -> None:
        with suppress(Empty):
            while True:
                queue, key, run_after = self._escaped.get_nowait()
                self._groups[queue].arrived(key, run_after)

    def of(self, queue: str) -> WaitingGroups:
        """The groups that wait in `queue`."""
        return self._groups[queue]

    def heads(
        self, connection: Connection[Any], queue: str, kind: Kind, account_ids: Sequence[int]
    ) -> list[Head]:
        """These accounts' groups of one kind, with the accounts' limits."""
        now_s = time.monotonic()
        old = [id for id in account_ids if now_s - self._accounts.get(id, (0.0,))[0] > ACCOUNTS_S]
        if old:
            limits = hints.accounts(connection, old)
            self._accounts |= {id: (now_s, limit) for id, limit in limits.items()}
        groups = self._groups[queue]
        heads = []
        for id in account_ids:
            if id in self._accounts:
                weight, most = self._accounts[id][1]
                mark = groups.mark(GroupKey(id, kind))
                heads.append(Head(id, weight, most, kind.version_id, kind.tier, mark))
        return heads


def _waiting(connection: Connection[Any], queue: str) -> list[tuple[GroupKey, datetime]]:
    """All groups of the queue with jobs that are due, and since when their first one is."""
    return [
        (GroupKey(head.account_id, Kind(head.version_id, head.tier)), head.run_after)
        for head in hints.heads(connection, queue)
    ]
