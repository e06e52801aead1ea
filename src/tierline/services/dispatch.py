"""Choosing which jobs go out next, for one pool of queues at a time.

Commits what it chose; publishing is the caller's, after the commit.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from tierline.queues import JOBS, POOLS
from tierline.scheduling import account_limit, choose, room_for_hints
from tierline.storage import hints


@dataclass
class Choice:
    """What one choice marked."""

    queue_of: dict[UUID, str] = field(default_factory=dict)  # by job, where its hint goes
    full: bool = False  # it took all the room there was: more may be waiting


def pools_with_jobs(pool: ConnectionPool[Any]) -> list[str]:
    """The pools that a choice may find a job in, by one look at all of them.

    The others need no choice, which takes six round trips to find nothing.
    """
    with pool.connection() as connection:
        found = hints.with_jobs(connection, JOBS)
    return [name for name, queues in POOLS.items() if not found.isdisjoint(queues)]


def choose_hints(pool: ConnectionPool[Any], name: str, threads: int, spare: int) -> Choice:
    """Mark the next jobs of pool `name` as hinted.

    `threads` is what the pool's live workers run at once, `spare` how many hints may wait in the
    broker beyond them. Empty when nothing is due, there is no room, or another dispatcher chooses.
    """
    choice = Choice()
    with pool.connection() as connection, connection.transaction():
        if not hints.lock_choice(connection, name):
            return choice
        out = hints.held(connection, POOLS[name])
        room = room_for_hints(threads, out.running, out.hinted, spare)
        for queue in POOLS[name]:  # the interactive lane first
            if room <= 0:
                break
            waiting = hints.waiting(connection, queue, room)
            if not waiting:
                continue
            turns = hints.read_turns(connection, queue)
            job_ids, after = choose(waiting, room, out.by_account, account_limit(threads), turns)
            if not job_ids:
                continue
            if after != turns:
                hints.write_turns(connection, queue, after)
            choice.queue_of |= hints.mark(connection, job_ids)
            room -= len(job_ids)
            for each in waiting:
                taken = len(set(each.job_ids) & set(job_ids))
                out.by_account[each.account_id] = out.by_account.get(each.account_id, 0) + taken
        choice.full = room <= 0 and bool(choice.queue_of)
    return choice
