"""Which groups of jobs wait in a queue, as a dispatcher remembers them between its choices.

A group is an account's jobs of one feature version and tier. The memory may name groups that have
no job by now: a look into the group finds that out. It must not miss one for longer than until the
next full scan; see `services/jobs/dispatching/memory.py`.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from tierline.rules.scheduling import Turns


class Kind(NamedTuple):
    """What the jobs of a group have in common with those of other accounts."""

    version_id: int
    tier: str


class GroupKey(NamedTuple):
    """Names a group within its queue."""

    account_id: int
    kind: Kind


class WaitingGroups:
    """The groups of one queue, each with its mark: no job in it is due since an earlier time.

    Work on it does not grow with the number of groups, except for a full scan.
    """

    def __init__(self) -> None:
        self._marks: dict[GroupKey, datetime] = {}
        self._accounts: dict[Kind, list[int]] = {}  # sorted

    def __bool__(self) -> bool:
        return bool(self._marks)

    def __len__(self) -> int:
        return len(self._marks)

    def kinds(self) -> list[Kind]:
        """The versions and tiers that jobs wait for."""
        return list(self._accounts)

    def count(self, kind: Kind) -> int:
        """How many accounts have jobs of this kind."""
        return len(self._accounts.get(kind, ()))

    def mark(self, key: GroupKey) -> datetime:
        """The group has no job that is due since an earlier time."""
        return self._marks[key]

    def arrived(self, key: GroupKey, run_after: datetime) -> None:
        """A job of the group is due since `run_after`."""
        mark = self._marks.get(key)
        if mark is None:
            insort(self._accounts.setdefault(key.kind, []), key.account_id)
        if mark is None or run_after < mark:
            self._marks[key] = run_after

    def begins(self, key: GroupKey, run_after: datetime) -> None:
        """The first job of the group is due since `run_after`: dead rows before it need no more
        looks.
        """
        if key in self._marks:
            self._marks[key] = run_after

    def is_empty(self, key: GroupKey) -> None:
        """No job of the group is due."""
        if self._marks.pop(key, None) is None:
            return
        accounts = self._accounts[key.kind]
        del accounts[bisect_left(accounts, key.account_id)]
        if not accounts:
            del self._accounts[key.kind]

    def replace(self, groups: Iterable[tuple[GroupKey, datetime]]) -> None:
        """Forget all groups but those of a full scan."""
        self._marks = dict(groups)
        self._accounts = {}
        for account_id, kind in self._marks:
            self._accounts.setdefault(kind, []).append(account_id)
        for accounts in self._accounts.values():
            accounts.sort()

    def in_turn(self, kind: Kind, turns: Turns) -> Iterator[int]:
        """The accounts with jobs of this kind, the one whose turn is next first."""
        accounts = self._accounts.get(kind, [])
        start = bisect_left(accounts, turns.account_id + (turns.left <= 0))
        yield from accounts[start:]
        yield from accounts[:start]
