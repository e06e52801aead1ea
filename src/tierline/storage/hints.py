"""Which jobs have a hint out: the statements of the dispatcher's choice.

The choice for a pool of queues is made by one dispatcher at a time, under an advisory lock that
ends with its transaction. A hint is a mark in the row (`hint_no`); the message itself goes out
after the commit, by somebody else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb

from tierline.scheduling import Turns, Waiting

CHOICE_LOCK = 0x7E21_0002  # the first half of the advisory lock's key; the second is the pool

# A recursive loose scan finds the accounts that wait without reading their backlogs; LATERAL takes
# the head of each. statement_timestamp(): stable, so that the index can serve the comparison.
WAITING = """
WITH RECURSIVE waiting (account_id) AS (
    (SELECT account_id FROM jobs
     WHERE queue = %(queue)s AND status = 'queued' AND hint_no IS NULL
     ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT account_id FROM jobs
            WHERE queue = %(queue)s AND status = 'queued' AND hint_no IS NULL
                AND account_id > waiting.account_id
            ORDER BY account_id LIMIT 1)
    FROM waiting WHERE waiting.account_id IS NOT NULL
)
SELECT a.id, a.weight, array_agg(head.id ORDER BY head.run_after, head.id)
FROM waiting
JOIN accounts a ON a.id = waiting.account_id
CROSS JOIN LATERAL (
    SELECT id, run_after FROM jobs
    WHERE queue = %(queue)s AND account_id = a.id AND status = 'queued' AND hint_no IS NULL
        AND run_after <= statement_timestamp()
    ORDER BY run_after, id LIMIT %(room)s
) head
GROUP BY a.id, a.weight
"""

# A value, not EXISTS: that becomes a join, which reads the whole backlog; and in the index's order,
# because an unordered LIMIT may begin at the table's start, where the finished jobs are.
WITH_JOBS = """
SELECT queue FROM unnest(%s::text[]) queue
WHERE (SELECT true FROM jobs j
       WHERE j.queue = queue.queue AND j.status = 'queued' AND j.hint_no IS NULL
       ORDER BY j.account_id LIMIT 1)
"""

HELD = """
SELECT account_id, false AS hinted, count(*) FROM jobs
WHERE queue = ANY(%(queues)s) AND status = 'in_progress' GROUP BY account_id
UNION ALL
SELECT account_id, true, count(*) FROM jobs
WHERE queue = ANY(%(queues)s) AND status = 'queued' AND hint_no IS NOT NULL GROUP BY account_id
"""

# Under the choice's lock nobody else hints them. Asking for `hint_no IS NULL` all the same would
# let the planner look for them in the backlog's index, from end to end, instead of by their ids.
MARK = """
UPDATE jobs SET hint_no = nextval('hint_numbers')
WHERE id = ANY(%s) AND status = 'queued'
RETURNING id, queue
"""


@dataclass
class Held:
    """What a pool of queues has out: running, hinted, and by account both together."""

    running: int = 0
    hinted: int = 0
    by_account: dict[int, int] = field(default_factory=dict)


def lock_choice(connection: Connection[Any], pool: str) -> bool:
    """Become the one that chooses for `pool` until this transaction ends; False: another is.

    A statement of its own: the snapshot of the next one is then taken under the lock.
    """
    row = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", (CHOICE_LOCK, pool)
    ).fetchone()
    return row is not None and row[0]


def held(connection: Connection[Any], queues: Collection[str]) -> Held:
    """What is running and hinted in `queues`."""
    found = Held()
    for account_id, hinted, count in connection.execute(HELD, {"queues": list(queues)}):
        if hinted:
            found.hinted += count
        else:
            found.running += count
        found.by_account[account_id] = found.by_account.get(account_id, 0) + count
    return found


def with_jobs(connection: Connection[Any], queues: Collection[str]) -> set[str]:
    """Those of `queues` with a job that could be hinted, due or not: a probe of an index each."""
    return {queue for (queue,) in connection.execute(WITH_JOBS, (list(queues),))}


def waiting(connection: Connection[Any], queue: str, room: int) -> list[Waiting]:
    """For each account with a due job in `queue`, the first `room` of them."""
    rows = connection.execute(WAITING, {"queue": queue, "room": room})
    return [Waiting(account_id, weight, job_ids) for account_id, weight, job_ids in rows]


def read_turns(connection: Connection[Any], queue: str) -> Turns:
    """Whose turn it is in `queue`."""
    row = connection.execute("SELECT state FROM queue_turns WHERE queue = %s", (queue,)).fetchone()
    return Turns() if row is None else Turns(**row[0])


def write_turns(connection: Connection[Any], queue: str, turns: Turns) -> None:
    """Keep whose turn it is; in the transaction of the choice."""
    connection.execute(
        "INSERT INTO queue_turns (queue, state) VALUES (%s, %s)"
        " ON CONFLICT (queue) DO UPDATE SET state = excluded.state",
        (queue, Jsonb({"account_id": turns.account_id, "left": turns.left})),
    )


def mark(connection: Connection[Any], job_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Mark jobs as hinted and tell the queue of each; those that moved meanwhile are left out."""
    return dict(connection.execute(MARK, (list(job_ids),)).fetchall())


def unmark(connection: Connection[Any], job_ids: Collection[UUID]) -> None:
    """Their hints did not go out, or are lost: they may be chosen again."""
    connection.execute(
        "UPDATE jobs SET hint_no = NULL WHERE id = ANY(%s) AND status = 'queued'",
        (list(job_ids),),
    )


def hints_out(connection: Connection[Any]) -> list[tuple[UUID, str, int]]:
    """Every job with a hint out: id, queue, hint number. Few, by design."""
    return connection.execute(
        "SELECT id, queue, hint_no FROM jobs WHERE status = 'queued' AND hint_no IS NOT NULL"
    ).fetchall()
