"""Which job is next, and when a retry is due. Pure decisions for the dispatcher.

Fairness is deficit round robin (Shreedhar and Varghese, 1995) with one job as the unit. Accounts
take turns. A turn is worth the account's weight; if a turn is cut short for lack of room, it goes
on next time.

Models share a pool's threads by max-min fairness: a model that needs less than an equal share gets
what it needs, and the others share the rest. So a hanging model server fills its own share only.
"""

import math
import random
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tierline.rules.queues import BACKFILLS

KEPT_FREE_SHARE = 8
"""The share of a queue's threads that no single account may hold, so that a quiet account's job
starts at once.
"""
KEPT_FREE_LEAST = 2
AHEAD_PAUSES = 1.5
"""For how many pauses between two choices the hints beyond the idle threads should last. Workers
also need time to fetch a hint, and jobs do not end evenly."""
MOST_AHEAD_S = 0.1
"""The longest time for which hints go out ahead. A new account's job waits behind them."""
MOST_DOUBLINGS = 60
"""Cap on the exponent of the back-off: a job that is held for days has made a thousand tries."""


@dataclass(frozen=True)
class Candidate:
    """A job at the head of a queue."""

    job_id: UUID
    model: str  # provider:model that its tier calls first
    calls: int = 1  # calls that it makes there


@dataclass(frozen=True)
class Waiting:
    """One account's jobs at the head of a queue, in the order in which they would run."""

    account_id: int
    weight: int
    jobs: Sequence[Candidate]
    free: int  # how many more jobs the account may hold, running and hinted together
    # the same per model; models not named have no limit
    free_of_model: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Turns:
    """Whose turn it is in a queue. Kept between choices and shared by dispatchers."""

    account_id: int = 0  # whose turn it is, or was
    left: int = 0  # jobs that remain in this turn


@dataclass(frozen=True)
class Group:
    """The waiting jobs of one account for one feature version and tier."""

    account_id: int
    weight: int  # the account's weight
    version_id: int
    tier: str
    models: Hashable  # equal for groups whose jobs call the same models
    free: int  # how many more jobs its account may hold
    idle: bool  # its account holds no job


def in_turn(account_id: int, turns: Turns) -> tuple[bool, int]:
    """Sort key for accounts: the next one in turn comes first."""
    return account_id < turns.account_id + (turns.left <= 0), account_id


def worth_reading(groups: Iterable[Group], room: int, turns: Turns) -> list[tuple[Group, int]]:
    """The groups that a choice of `room` jobs may take from, and how many jobs of each at most.

    `choose` takes at least one job of each account that it reaches. So among accounts whose jobs
    call the same models it reaches the first `room`, each once if there are that many, and takes up
    to the account's weight. An account that holds jobs may have no free place for a model. It may
    be passed over, so it does not count.
    """
    by_models: dict[Hashable, list[Group]] = {}
    for group in sorted(groups, key=lambda group: in_turn(group.account_id, turns)):
        if group.free > 0:
            by_models.setdefault(group.models, []).append(group)
    picked: list[tuple[Group, int]] = []
    for alike in by_models.values():
        accounts: set[int] = set()
        near = []
        for group in alike:
            if len(accounts) >= room and group.account_id not in accounts:
                break
            near.append(group)
            if group.idle:
                accounts.add(group.account_id)
        once = len(accounts) >= room
        for group in near:
            most = min(room + 1, group.free)  # one more shows whether the account's turn goes on
            picked.append((group, min(most, group.weight) if once else most))
    return picked


def hints_ahead(least: int, taken_per_s: float, pause_s: float, threads: int) -> int:
    """How many hints may wait in the broker beyond the idle threads, at least `least`.

    The workers took `taken_per_s` hints a second lately, and two choices are `pause_s` apart. With
    fewer, threads whose jobs end between two choices would be idle until the next one. There are
    never more than half of the threads, because jobs that have a hint keep their place in the
    queue.
    """
    ahead = math.ceil(taken_per_s * min(AHEAD_PAUSES * pause_s, MOST_AHEAD_S))
    return max(least, min(ahead, threads // 2))


def room_for_hints(threads: int, running: int, hinted: int, spare: int) -> int:
    """How many hints may go out: one per idle thread plus `spare`, less those already out."""
    return max(0, max(0, threads - running) + spare - hinted)


def account_limit(threads: int) -> int:
    """How many jobs of a queue one account may hold, running and hinted together.

    If no worker is known (`threads` is 0), a few may wait in the broker for the first one.
    """
    if threads == 0:
        return KEPT_FREE_LEAST
    return max(1, threads - max(KEPT_FREE_LEAST, threads // KEPT_FREE_SHARE))


def free_to_account(threads: int, held: int, held_in_lane: int, *, interactive: bool) -> int:
    """How many more jobs of a lane an account may hold, if it holds `held` in the whole pool.

    The threads kept free from an account are open to its interactive jobs if its own backfill holds
    the others, so they need not wait for a backfill job to end. The backfill gives way once
    interactive jobs fill half of what is kept free. Giving way from the first one on would cost a
    fifth of the throughput (measured: 24 jobs a second instead of 31). The backfill gets nothing if
    the interactive jobs fill the account's share.
    """
    most = account_limit(threads)
    if not interactive:
        if held - held_in_lane >= most:
            return 0
        half = max(0, threads - most) // 2
        return max(0, min(most - held_in_lane, most + half - held))
    return max(0, min(most - held_in_lane, max(most, threads) - held))


def free_to_backfills(threads: int, held: int, *, kept_by_workers: int = 0, ahead: int = 0) -> int:
    """How many more jobs of a backfill lane may go out, if all accounts together hold `held`,
    running and hinted.

    Half of what is kept free from one account is kept free from all backfills. Otherwise the
    backfills of two accounts could fill every thread, and an interactive job would wait. If the
    workers themselves keep so many threads free, see `kept_free`, then `ahead` more hints may
    wait in the broker. They cannot take those threads.
    """
    if threads == 0:
        return max(0, KEPT_FREE_LEAST - held)
    reserved = (threads - account_limit(threads)) // 2
    if kept_by_workers < reserved:
        ahead = 0
    return max(0, max(1, threads - reserved) + ahead - held)


def kept_free(queues: Collection[str], threads: int) -> int:
    """How many of its threads a worker process for `queues` keeps free from backfills. Over all
    processes of a pool this is never more than `free_to_backfills` wants.
    """
    if BACKFILLS.isdisjoint(queues) or BACKFILLS.issuperset(queues):
        return 0
    return threads // (2 * KEPT_FREE_SHARE)


def model_limits(
    demand: Mapping[str, int], in_use: Iterable[str], threads: int, spare: int
) -> dict[str, int]:
    """How many jobs of a pool each model may hold, running and hinted together; empty: no limits.

    `demand` counts what each model holds and has waiting. `in_use` names the models that jobs may
    come for. `spare` is how many hints may wait beyond the threads. With one model nothing is kept
    free; otherwise no single model may hold the last eighth, as for accounts.
    """
    if len(demand.keys() | set(in_use)) < 2:
        return {}
    most = account_limit(threads)
    limits: dict[str, int] = {}
    left = threads + spare
    by_want = sorted(demand.items(), key=lambda item: (item[1], item[0]))
    for place, (model, want) in enumerate(by_want):
        share = max(1, left // (len(by_want) - place))
        limits[model] = min(want, share, most)
        left -= limits[model]
    return limits


def limit_of_one_model(threads: int) -> int:
    """How many of the jobs that one account may hold may ask the same model, if there are others.

    This keeps a hanging model server from filling the account's share.
    """
    return max(1, account_limit(threads) - max(1, threads // KEPT_FREE_SHARE))


def choose(
    waiting: Iterable[Waiting],
    room: int,
    turns: Turns,
    free_of_model: Mapping[str, int],
) -> tuple[list[Candidate], Turns]:
    """Up to `room` jobs in fair order, and the turns afterwards.

    No job is taken beyond what its account or its model may hold. `free_of_model` is for all
    accounts together; models not named there have no limit. Jobs of a model at its limit are
    skipped, and the jobs behind them do not wait.
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
        if heads[account_id].next(free) is None:  # an account without more jobs keeps no credit
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
        """The first job that may be taken. A model's free places only shrink, so skipped jobs stay
        skipped.
        """
        while self._free > 0 and self._at < len(self._jobs):
            job = self._jobs[self._at]
            if free_of_model.get(job.model, 1) > 0 and self._free_of_model.get(job.model, 1) > 0:
                return job
            self._at += 1
        return None

    def take(self) -> None:
        """Take the job that `next` returned."""
        model = self._jobs[self._at].model
        if model in self._free_of_model:
            self._free_of_model[model] -= 1
        self._at += 1
        self._free -= 1


def backoff_s(tries: int, base_s: float, most_s: float, draw: float | None = None) -> float:
    """Seconds to wait after failure number `tries`: doubling, with random jitter of up to half.

    `draw` in [0, 1) replaces the random number in tests.
    """
    doublings = min(max(0, tries - 1), MOST_DOUBLINGS)
    ceiling = min(most_s, base_s * 2.0**doublings)
    return ceiling * (0.5 + 0.5 * (random.random() if draw is None else draw))  # noqa: S311
