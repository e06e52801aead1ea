"""Who is next, and when to try again: the dispatcher's and the retries' decisions, as values.

Fairness is deficit round robin (Shreedhar and Varghese, 1995) with one job as the unit: accounts
take turns, each turn is worth the account's weight, and a turn that room cuts short goes on next
time.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

KEPT_FREE_SHARE = 8
"""No account holds the last eighth of a queue's threads: a quiet account's job starts at once."""
KEPT_FREE_LEAST = 2
MOST_DOUBLINGS = 60
"""Of a wait: a job that is asked to come back later for days has tried a thousand times."""


@dataclass(frozen=True)
class Waiting:
    """One account's jobs at the head of a queue, in the order in which they would run."""

    account_id: int
    weight: int
    job_ids: Sequence[UUID]


@dataclass(frozen=True)
class Turns:
    """Whose turn it is in a queue, kept between choices and between dispatchers."""

    account_id: int = 0  # who has, or had, the turn
    left: int = 0  # jobs that are left of it


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


def choose(
    waiting: Iterable[Waiting],
    room: int,
    held: Mapping[int, int],
    limit: int,
    turns: Turns,
) -> tuple[list[UUID], Turns]:
    """Up to `room` jobs in fair order, and the turns after it.

    `held` counts what each account has running and hinted; none is taken past `limit`.
    """
    queues = {
        each.account_id: (
            each.weight,
            list(each.job_ids[: max(0, limit - held.get(each.account_id, 0))]),
        )
        for each in waiting
    }
    order = sorted(account_id for account_id, (_, job_ids) in queues.items() if job_ids)
    chosen: list[UUID] = []
    account_id, left = turns.account_id, turns.left
    while order and len(chosen) < room:
        if left <= 0 or account_id not in order:
            account_id = next((one for one in order if one > account_id), order[0])
            left = queues[account_id][0]
        job_ids = queues[account_id][1]
        take = min(left, len(job_ids), room - len(chosen))
        chosen += job_ids[:take]
        del job_ids[:take]
        left -= take
        if not job_ids:  # an account with nothing left keeps no credit
            order.remove(account_id)
            left = 0
    return chosen, Turns(account_id, left)


def backoff_s(tries: int, base_s: float, most_s: float, draw: float | None = None) -> float:
    """Seconds to wait after the `tries`-th failure: doubling, with full jitter above a half.

    `draw` in [0, 1) replaces the random number in tests.
    """
    doublings = min(max(0, tries - 1), MOST_DOUBLINGS)
    ceiling = min(most_s, base_s * 2.0**doublings)
    return ceiling * (0.5 + 0.5 * (random.random() if draw is None else draw))  # noqa: S311
