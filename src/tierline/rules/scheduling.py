"""Who is next, and when to try again: the dispatcher's and the retries' decisions, as values.

Fairness is deficit round robin (Shreedhar and Varghese, 1995) with one job as the unit: accounts
take turns, each turn is worth the account's weight, and a turn that room cuts short goes on next
time.

Models share a pool's threads by max-min fairness: whoever wants less than an equal share gets it,
the others share the rest. A model server that hangs so fills its own share and no more.
"""

import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

KEPT_FREE_SHARE = 8
"""No account holds the last eighth of a queue's threads: a quiet account's job starts at once."""
KEPT_FREE_LEAST = 2
MOST_DOUBLINGS = 60
"""Of a wait: a job that is asked to come back later for days has tried a thousand times."""


@dataclass(frozen=True)
class Candidate:
    """A job at the head of a queue."""

    job_id: UUID
    model: str  # provider:model that its tier asks first
    calls: int = 1  # that it takes there


@dataclass(frozen=True)
class Waiting:
    """One account's jobs at the head of a queue, in the order in which they would run."""

    account_id: int
    weight: int
    jobs: Sequence[Candidate]
    free: int  # how many more the account may hold, running and hinted together
    free_of_model: Mapping[str, int] = field(default_factory=dict)  # … of a model; not named: any


@dataclass(frozen=True)
class Turns:
    """Whose turn it is in a queue, kept between choices and between dispatchers."""

    account_id: int = 0  # who has, or had, the turn
    left: int = 0  # jobs that are left of it


@dataclass(frozen=True)
class Group:
    """What an account has waiting of one feature version on one tier."""

    account_id: int
    weight: int  # the account's
    version_id: int
    tier: str
    asks: Hashable  # the same for groups whose jobs the same models can take
    free: int  # how many more jobs its account may hold
    idle: bool  # its account holds none


def in_turn(account_id: int, turns: Turns) -> tuple[bool, int]:
    """What to sort accounts by, so that the next one to be taken from is the first."""
    return account_id < turns.account_id + (turns.left <= 0), account_id


def worth_reading(groups: Iterable[Group], room: int, turns: Turns) -> list[tuple[Group, int]]:
    """The groups that a choice of `room` jobs may take from, and how many jobs of each at most.

    `choose` takes a job or more of each account that it comes to. So of the accounts whose jobs ask
    the same models it comes to the first `room`, and to each of them once if there are so many:
    for its weight. An account that holds jobs already may have nothing free of a model, so that it
    may be passed over and does not count.
    """
    by_asked: dict[Hashable, list[Group]] = {}
    for group in sorted(groups, key=lambda group: in_turn(group.account_id, turns)):
        if group.free > 0:
            by_asked.setdefault(group.asks, []).append(group)
    found: list[tuple[Group, int]] = []
    for alike in by_asked.values():
        seen: set[int] = set()
        near = []
        for group in alike:
            if len(seen) >= room and group.account_id not in seen:
                break
            near.append(group)
            if group.idle:
                seen.add(group.account_id)
        once = len(seen) >= room
        for group in near:
            most = min(room + 1, group.free)  # one more shows whether the account keeps its turn
            found.append((group, min(most, group.weight) if once else most))
    return found


def room_for_hints(threads: int, running: int, hinted: int, spare: int) -> int:
    """How many hints may go out: one for each idle thread and `spare` more, less those out."""
    return max(0, max(0, threads - running) + spare - hinted)


def account_limit(threads: int) -> int:
    """How many jobs of a queue one account may hold, running and hinted together.

    Without a worker in sight (`threads` 0) a little may wait in the broker for the first one.
    """
    if threads == 0:
        return KEPT_FREE_LEAST
    return max(1, threads - max(KEPT_FREE_LEAST, threads // KEPT_FREE_SHARE))


def free_to_account(threads: int, held: int, held_in_lane: int, *, interactive: bool) -> int:
    """How many more jobs of a lane an account may hold, that holds `held` in all of the pool.

    Its interactive jobs may take the threads that are kept free from it when it is its own backfill
    that holds the others: they need not wait for one of those to end. Its backfill gives way to
    them once they fill half of what is kept free: from the first one on, the threads that it gave
    up cost a fifth of the throughput (measured: 24 jobs a second of 31). It has nothing beside
    interactive jobs that fill the account's share by themselves.
    """
    most = account_limit(threads)
    if not interactive:
        if held - held_in_lane >= most:
            return 0
        half = max(0, threads - most) // 2
        return max(0, min(most - held_in_lane, most + half - held))
    return max(0, min(most - held_in_lane, max(most, threads) - held))


def free_to_backfills(threads: int, held: int) -> int:
    """How many more jobs of a backfill lane may go out, of which all accounts hold `held` together.

    Half of what is kept free of one account is kept free of all backfills: otherwise those of two
    accounts would fill every thread, and an interactive job would wait for one of theirs to end.
    """
    if threads == 0:
        return max(0, KEPT_FREE_LEAST - held)
    kept = (threads - account_limit(threads)) // 2
    return max(0, max(1, threads - kept) - held)


def model_limits(
    wanted: Mapping[str, int], in_use: Iterable[str], threads: int, spare: int
) -> dict[str, int]:
    """How many jobs of a pool each model may hold, running and hinted together; empty: any number.

    `wanted` counts what each model holds and has waiting, `in_use` names those that jobs may come
    for; `spare` is how many hints may wait beyond the threads. With one model there is nothing to
    keep free; otherwise the last eighth is kept from any one model as it is from an account.
    """
    if len(wanted.keys() | set(in_use)) < 2:
        return {}
    most = account_limit(threads)
    limits: dict[str, int] = {}
    left = threads + spare
    by_want = sorted(wanted.items(), key=lambda item: (item[1], item[0]))
    for place, (model, want) in enumerate(by_want):
        share = max(1, left // (len(by_want) - place))
        limits[model] = min(want, share, most)
        left -= limits[model]
    return limits


def limit_of_one_model(threads: int) -> int:
    """How many of the jobs that one account may hold may ask the same model, if there are others.

    So that a model server that hangs does not fill the account's share either.
    """
    return max(1, account_limit(threads) - max(1, threads // KEPT_FREE_SHARE))


def choose(
    waiting: Iterable[Waiting],
    room: int,
    turns: Turns,
    free_of_model: Mapping[str, int],
) -> tuple[list[Candidate], Turns]:
    """Up to `room` jobs in fair order, and the turns after it.

    None is taken past what is free to its account, or to its model: `free_of_model` is for all
    accounts together, and a model that is not named there has no limit. Jobs of a model that may
    have no more are stepped over, and keep nobody waiting behind them.
    """
    heads = {each.account_id: _Head(each) for each in waiting}
    free = dict(free_of_model)
    order = sorted(account_id for account_id, head in heads.items() if head.next(free) is not None)
    chosen: list[Candidate] = []
    account_id, left = turns.account_id, turns.left
    while order and len(chosen) < room:
        if left <= 0 or account_id not in order:
            account_id = next((one for one in order if one > account_id), order[0])
            left = heads[account_id].weight
        job = heads[account_id].next(free)
        if job is not None:
            heads[account_id].take()
            chosen.append(job)
            left -= 1
            if job.model in free:
                free[job.model] -= 1
        if heads[account_id].next(free) is None:  # an account with nothing left keeps no credit
            order.remove(account_id)
            left = 0
    return chosen, Turns(account_id, left)


class _Head:
    """An account's jobs while a choice is made."""

    def __init__(self, waiting: Waiting) -> None:
        self.weight = waiting.weight
        self._jobs = waiting.jobs
        self._free = waiting.free
        self._free_of_model = dict(waiting.free_of_model)
        self._at = 0

    def next(self, free_of_model: Mapping[str, int]) -> Candidate | None:
        """The first job that may be taken. What a model has free only shrinks: none comes back."""
        while self._free > 0 and self._at < len(self._jobs):
            job = self._jobs[self._at]
            if free_of_model.get(job.model, 1) > 0 and self._free_of_model.get(job.model, 1) > 0:
                return job
            self._at += 1
        return None

    def take(self) -> None:
        """Take the job that `next` gave."""
        model = self._jobs[self._at].model
        if model in self._free_of_model:
            self._free_of_model[model] -= 1
        self._at += 1
        self._free -= 1


def backoff_s(tries: int, base_s: float, most_s: float, draw: float | None = None) -> float:
    """Seconds to wait after the `tries`-th failure: doubling, with full jitter above a half.

    `draw` in [0, 1) replaces the random number in tests.
    """
    doublings = min(max(0, tries - 1), MOST_DOUBLINGS)
    ceiling = min(most_s, base_s * 2.0**doublings)
    return ceiling * (0.5 + 0.5 * (random.random() if draw is None else draw))  # noqa: S311
