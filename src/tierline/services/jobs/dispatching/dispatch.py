"""Chooses the jobs whose hints go out next, for one pool of queues at a time.

A choice is committed here. The caller publishes the hints after the commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.rules.jobs import Route
from tierline.rules.queues import BACKFILLS, POOLS
from tierline.rules.rate_limits import RateLimit
from tierline.rules.scheduling import (
    Candidate,
    Group,
    Turns,
    Waiting,
    choose,
    free_to_account,
    free_to_backfills,
    in_turn,
    limit_of_one_model,
    model_limits,
    room_for_hints,
    worth_reading,
)
from tierline.rules.waiting_groups import GroupKey, Kind
from tierline.services.jobs.dispatching.held import HeldJobs
from tierline.services.jobs.dispatching.in_use import InUse, could_go, in_use_of
from tierline.services.jobs.dispatching.locked_jobs import LockedJobs
from tierline.services.jobs.dispatching.memory import Memory
from tierline.services.jobs.dispatching.models_in_use import ModelsInUse
from tierline.services.jobs.dispatching.out_jobs import OutJobs
from tierline.services.jobs.dispatching.pace import Pace
from tierline.services.jobs.dispatching.paused import without_paused
from tierline.services.jobs.dispatching.stored_turns import StoredTurns
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs import hints
from tierline.storage.jobs.hints import Due, GroupRead, Head

MOST_VISITED = 500  # accounts of one kind that a choice considers, if few may have a job
VISITED_MORE = 16  # accounts beyond those that a choice may reach, considered at once


@dataclass
class Choice:
    """The jobs that one choice marked as hinted."""

    queue_of: dict[UUID, str] = field(default_factory=dict)  # job → the queue of its hint
    full: bool = False  # more jobs may be waiting than it read


@dataclass(frozen=True)
class _Lane:
    """The lane that a choice is made for, and the state of its pool."""

    name: str  # of the pool
    queue: str
    threads: int  # of the pool's live workers
    spare: int  # hints that may wait beyond the idle threads
    in_use: InUse
    _: KW_ONLY
    limited_too: bool  # it also chooses for accounts with a limit over all pools


class Dispatch:
    """Makes a dispatcher's choices. One per process, because it remembers features, what waits and
    what is out.

    `spare` is how many hints may wait in the broker beyond a pool's idle threads; more where jobs
    end quickly, see `Pace`. `most_in_progress` is the limit of accounts without one of their own;
    None: only their share of the threads limits them. Hints are paced by the providers'
    `rate_limits`. `hold_s` is how long a job waits for a model whose circuit is open.

    A choice by memory costs as much as it may send, however many accounts and jobs wait: see
    `lead`. Without the lead, each choice reads everything first. The dispatcher that leads also
    calls `search`, and reads `out_jobs` in another thread.
    """

    def __init__(
        self,
        spare: int,
        most_in_progress: int | None = None,
        rate_limits: Mapping[str, RateLimit] | None = None,
        hold_s: float = Route.hold_s,
    ) -> None:
        self.out_jobs = OutJobs()
        self._paces = {name: Pace(spare) for name in POOLS}
        self._most_in_progress = most_in_progress
        self._models = ModelsInUse()
        self._held_jobs = HeldJobs(rate_limits or {}, hold_s)
        self._locked = LockedJobs()
        self._memory = Memory()
        self._leads = False
        self._may_choose: dict[str, tuple[bool, bool]] = {}  # pool → as `hold_choice_in_all` says
        self._turns = StoredTurns()
        self._passed: dict[tuple[str, Kind], int] = {}  # accounts in front that may have nothing

    def lead(self, connection: Connection[Any]) -> bool:
        """Become the dispatcher that chooses, for as long as this connection lives.

        Then `look` and `choose_on` take this connection, and are called every few seconds. False:
        another dispatcher leads.
        """
        self._leads = hints.lead(connection)
        self._may_choose = {}
        self.out_jobs.begin()
        self._memory = Memory()
        self._turns.begin(leads=self._leads)
        return self._leads

    def look(self, connection: Connection[Any]) -> list[str]:
        """Learn what came due since the last look. Returns the pools in which jobs may wait."""
        self._memory.look(connection)
        return [
            name
            for name, queues in POOLS.items()
            if any(self._memory.of(queue) for queue in queues)
        ]

    def search(self, pool: ConnectionPool[Any]) -> None:
        """Find waiting jobs that no look has shown, for the dispatcher that leads. It is called
        every second or so in a thread of its own, and reads everything now and then.
        """
        if self._leads:
            with pool.connection() as connection:
                self._memory.search(connection)

    def returned(self) -> None:
        """Hints were taken back, so that their jobs may be chosen again. From any thread."""
        self._memory.rescan()

    def choose(self, pool: ConnectionPool[Any], name: str, threads: int) -> Choice:
        """`choose_on` without the lead, on any connection."""
        with pool.connection() as connection:
            return self.choose_on(connection, name, threads)

    def choose_on(
        self, connection: Connection[Any], name: str, threads: int, kept: int = 0
    ) -> Choice:
        """Mark the next jobs of pool `name` as hinted. Its live workers run `threads` at once, and
        keep `kept` of these free from backfills.

        Empty if nothing is due, if there is no room, or if another dispatcher is choosing.
        """
        choice = again_if_moved(lambda: self._choose(connection, name, threads, kept))
        self.out_jobs.sent(choice.queue_of)
        return choice

    def _choose(self, connection: Connection[Any], name: str, threads: int, kept: int) -> Choice:
        if self._leads:
            chooses, limited_too = self._hold_choice(connection, name)
            if not chooses:
                return Choice()
            return self._mark_next(connection, name, threads, kept, limited_too=limited_too)
        with connection.transaction():
            chooses, limited_too = hints.lock_choice_in_all(connection, name)
            if not chooses:
                return Choice()
            self._memory.rescan()
            self._memory.look(connection)
            return self._mark_next(connection, name, threads, kept, limited_too=limited_too)

    def _hold_choice(self, connection: Connection[Any], name: str) -> tuple[bool, bool]:
        """Whether the dispatcher that leads chooses for this pool, and for limited accounts too.

        It holds these locks from its first choice on. A dispatcher of an earlier release, which
        chooses without the lead, may have one for a moment.
        """
        holds = self._may_choose.get(name)
        if holds is None:
            holds = hints.hold_choice_in_all(connection, name)
            if all(holds):
                self._may_choose[name] = holds
        return holds

    def _mark_next(
        self, connection: Connection[Any], name: str, threads: int, kept: int, *, limited_too: bool
    ) -> Choice:
        """The choice itself. The marks are its last statement: all of them are written, or none."""
        choice = Choice()
        chosen: list[Candidate] = []
        out = self.out_jobs.read(connection, all_live=not self._leads, may_scan=False)
        in_use = in_use_of(connection, name, out, self._models)
        spare = self._paces[name].ahead(in_use.hinted, threads)
        # A worker takes interactive hints first, so the hints of backfills leave them room.
        hinted = 0
        for queue in POOLS[name]:  # the interactive lane first
            hinted += in_use.hinted_in_lane[queue]
            most = room_for_hints(threads, in_use.running, hinted, spare)
            if queue in BACKFILLS:
                free_to_all = free_to_backfills(
                    threads, in_use.in_whole_lane(queue), kept_by_workers=kept, ahead=spare
                )
                most = min(most, free_to_all)
            if most <= 0 or not self._memory.of(queue):
                continue
            turns = self._turns.read(connection, queue)
            lane = _Lane(name, queue, threads, spare, in_use, limited_too=limited_too)
            groups = self._near(connection, lane, most, turns)
            read = self._due(connection, queue, worth_reading(groups, most, turns))
            due = without_paused(connection, read)
            # Their places may go to jobs behind them, which the next choice reads.
            choice.full = choice.full or len(due) < len(read)
            due = self._held_jobs.without_held(connection, _sorted(due, turns), self._models)
            if not due:
                continue
            waiting = self._waiting(connection, groups, due)
            waiting, free = self._share_models(connection, lane, waiting)
            jobs, after = choose(waiting, most, turns, free)
            if not jobs:
                continue
            if after != turns:
                self._turns.write(connection, queue, after)
            self._held_jobs.sent(jobs)
            chosen += jobs
            hinted += len(jobs)
            choice.full = choice.full or len(jobs) >= most
            in_use.note(queue, waiting, jobs)
        if chosen:
            choice.queue_of |= hints.mark(connection, [job.job_id for job in chosen])
            self._locked.add(job.job_id for job in chosen if job.job_id not in choice.queue_of)
        self._paces[name].sent(len(choice.queue_of))
        return choice

    def _near(
        self, connection: Connection[Any], lane: "_Lane", most: int, turns: Turns
    ) -> list[Group]:
        """The groups whose turn is near. Of each kind it visits accounts until as many of them as
        the choice can take jobs hold no job yet and may have some.
        """
        near = []
        waiting = self._memory.of(lane.queue)
        for kind in waiting.kinds():
            passed = self._passed.pop((lane.queue, kind), 0)
            accounts = list(waiting.in_turn(kind, turns))
            accounts = accounts[passed:] + accounts[:passed]
            idle = visited = 0
            possible: list[Group] = []
            while idle < most and visited < min(len(accounts), MOST_VISITED):
                ids = accounts[visited : visited + 2 * most + VISITED_MORE]
                heads = self._memory.heads(connection, lane.queue, kind, ids)
                heads = self._held_jobs.may_go(connection, heads, self._models)
                groups = self._groups(connection, lane, heads)
                idle += sum(group.idle and group.free > 0 for group in groups)
                possible += groups
                visited += len(ids)
            if visited < len(accounts) and not any(group.free > 0 for group in possible):
                # All are held or at their limits: the next choice begins behind them.
                self._passed[lane.queue, kind] = (passed + visited) % len(accounts)
            near += possible
        return near

    def _due(
        self, connection: Connection[Any], queue: str, worth: Sequence[tuple[Group, int]]
    ) -> Sequence[Due]:
        """The due jobs of these groups, at most so many of each. Notes in the memory when each
        group's first job is due.
        """
        waiting = self._memory.of(queue)
        keys = [
            GroupKey(group.account_id, Kind(group.version_id, group.tier)) for group, _ in worth
        ]
        requests = [
            GroupRead(key.account_id, key.kind.version_id, key.kind.tier, waiting.mark(key), most)
            for key, (_, most) in zip(keys, worth, strict=True)
        ]
        left_out = self._locked.ids()
        due = hints.due(connection, queue, requests, left_out)
        if left_out:
            return due  # a group whose jobs were left out may have more
        first: dict[GroupKey, datetime] = {}
        for job in due:
            first.setdefault(
                GroupKey(job.account_id, Kind(job.version_id, job.tier)), job.run_after
            )
        for key in keys:
            if key in first:
                waiting.begins(key, first[key])
            else:
                waiting.is_empty(key)
        return due

    def _groups(
        self, connection: Connection[Any], lane: "_Lane", heads: Iterable[Head]
    ) -> list[Group]:
        """The groups of waiting jobs that this release can read. Accounts with a limit over all
        pools get no free threads, unless `limited_too`.
        """
        groups = []
        in_use, queue = lane.in_use, lane.queue
        for head in heads:
            tier = self._models.of_tier(connection, head.version_id, head.tier)
            if tier is None:
                continue
            account_id = head.account_id
            own = head.max_jobs_in_progress or self._most_in_progress
            free = free_to_account(
                lane.threads,
                in_use.by_account[account_id],
                in_use.in_lane[account_id, queue],
                interactive=queue == POOLS[lane.name][0],
            )
            if own is not None:
                left = own - in_use.in_all_pools[account_id]
                free = min(free, left) if lane.limited_too else 0
            groups.append(
                Group(
                    account_id,
                    head.weight,
                    head.version_id,
                    head.tier,
                    models=(tier.models, tier.last),
                    free=max(0, free),
                    idle=not in_use.by_account[account_id],
                )
            )
        return groups

    def _waiting(
        self, connection: Connection[Any], groups: Iterable[Group], due: Iterable[Due]
    ) -> list[Waiting]:
        """The due jobs, by account."""
        accounts = {group.account_id: group for group in groups}
        waiting = []
        for account_id, rows in groupby(due, key=attrgetter("account_id")):
            jobs = []
            for row in rows:
                tier = self._models.of_tier(connection, row.version_id, row.tier)
                if tier is not None:
                    jobs.append(Candidate(row.job_id, tier.models[0], tier.calls))
            account = accounts[account_id]
            waiting.append(Waiting(account_id, account.weight, jobs, account.free))
        return waiting

    def _share_models(
        self, connection: Connection[Any], lane: "_Lane", waiting: list[Waiting]
    ) -> tuple[list[Waiting], Mapping[str, int]]:
        """The waiting jobs, and the free threads: per account and model, and per model in all."""
        name, queue, in_use, threads = lane.name, lane.queue, lane.in_use, lane.threads
        demand = in_use.by_model + in_use.left
        for each in waiting:
            demand += could_go(each)
        in_pool = self._models.of_pool(connection, name)
        limits = model_limits(demand, in_pool, threads, lane.spare)
        if not limits:
            return waiting, {}
        most = limit_of_one_model(threads)
        lanes = [queue] if queue == POOLS[name][0] else POOLS[name]

        def free(account_id: int, model: str) -> int:
            return most - sum(in_use.of_model_in_lane[account_id, one, model] for one in lanes)

        shared = [
            replace(
                each,
                free_of_model={job.model: free(each.account_id, job.model) for job in each.jobs},
            )
            for each in waiting
        ]
        return shared, {model: limit - in_use.by_model[model] for model, limit in limits.items()}


def _sorted(due: Iterable[Due], turns: Turns) -> Sequence[Due]:
    """By account, the one whose turn is next first; within an account in its own order."""
    return sorted(due, key=lambda job: (in_turn(job.account_id, turns), job.run_after, job.job_id))
