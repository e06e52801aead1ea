"""Which jobs have a hint out: the statements of the dispatcher's choice.

The choice for a pool of queues is made by one dispatcher at a time, under an advisory lock that
ends with its transaction. A hint is a mark in the row (`hint_no`); the message itself goes out
after the commit, by somebody else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb

from tierline.queues import JOBS
from tierline.scheduling import Turns

CHOICE_LOCK = 0x7E21_0002  # the first half of the advisory lock's key; the second is the pool
LIMITED = "limited accounts"  # … or this: who holds it chooses for accounts with a limit in all

# A recursive loose scan finds the accounts that wait, and the feature versions of each, without
# reading their backlogs; LATERAL takes the head of each. By version, because that tells the model:
# behind any number of jobs whose model may take no more stand others that may go.
# statement_timestamp(): stable, so that the index can serve the comparison. The version is compared
# by >= and <=, because an = would let jobs_ready_idx serve the order, and read every version's.
WAITING = """
WITH RECURSIVE waiting (account_id, version_id) AS (
    (SELECT account_id, feature_version_id FROM jobs
     WHERE queue = %(queue)s AND status = 'queued' AND hint_no IS NULL
     ORDER BY account_id, feature_version_id LIMIT 1)
    UNION ALL
    SELECT following.account_id, following.feature_version_id
    FROM waiting CROSS JOIN LATERAL (
        SELECT account_id, feature_version_id FROM jobs
        WHERE queue = %(queue)s AND status = 'queued' AND hint_no IS NULL
            AND (account_id, feature_version_id) > (waiting.account_id, waiting.version_id)
        ORDER BY account_id, feature_version_id LIMIT 1
    ) following
)
SELECT a.id, a.weight, a.max_jobs_in_progress, head.id, waiting.version_id, head.tier,
    head.run_after
FROM waiting
JOIN accounts a ON a.id = waiting.account_id
CROSS JOIN LATERAL (
    SELECT id, tier, run_after FROM jobs
    WHERE queue = %(queue)s AND account_id = waiting.account_id
        AND feature_version_id >= waiting.version_id
        AND (feature_version_id, run_after) <= (waiting.version_id, statement_timestamp())
        AND status = 'queued' AND hint_no IS NULL
    ORDER BY feature_version_id, run_after, id LIMIT %(room)s
) head
"""

# A value, not EXISTS: that becomes a join, which reads the whole backlog; and in the index's order,
# because an unordered LIMIT may begin at the table's start, where the finished jobs are.
WITH_JOBS = """
SELECT queue FROM unnest(%s::text[]) queue
WHERE (SELECT true FROM jobs j
       WHERE j.queue = queue.queue AND j.status = 'queued' AND j.hint_no IS NULL
       ORDER BY j.account_id LIMIT 1)
"""

OUT = """
SELECT account_id, feature_version_id, tier, queue, false, count(*) FROM jobs
WHERE queue = ANY(%(queues)s) AND status = 'in_progress' GROUP BY 1, 2, 3, 4
UNION ALL
SELECT account_id, feature_version_id, tier, queue, true, count(*) FROM jobs
WHERE queue = ANY(%(queues)s) AND status = 'queued' AND hint_no IS NOT NULL GROUP BY 1, 2, 3, 4
"""

# Under the choice's lock nobody else hints them. Asking for `hint_no IS NULL` all the same would
# let the planner look for them in the backlog's index, from end to end, instead of by their ids.
MARK = """
UPDATE jobs SET hint_no = nextval('hint_numbers')
WHERE id = ANY(%s) AND status = 'queued'
RETURNING id, queue
"""


@dataclass(frozen=True)
class Out:
    """Jobs alike that are running, or that have a hint out."""

    account_id: int
    version_id: int
    tier: str
    queue: str
    hinted: bool
    count: int


class Due(NamedTuple):  # one a candidate in each choice: a dataclass costs several times as much
    """One job at the head of a queue, and what is to be known of its account."""

    account_id: int
    weight: int
    max_jobs_in_progress: int | None  # the account's own
    job_id: UUID
    version_id: int
    tier: str
    run_after: datetime


def lock_choice(connection: Connection[Any], pool: str) -> bool:
    """Become the one that chooses for `pool` until this transaction ends; False: another is.

    A statement of its own: the snapshot of the next one is then taken under the lock.
    """
    return _lock(connection, pool)[0]


def lock_choice_in_all(connection: Connection[Any], pool: str) -> tuple[bool, bool]:
    """`lock_choice`; and whether this one also chooses for accounts that have a limit in all pools.

    Of these there is one at a time, whichever pool it chooses for.
    """
    chooses, in_all = _lock(connection, pool, LIMITED)
    return chooses, in_all


def _lock(connection: Connection[Any], *names: str) -> list[bool]:
    rows = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s, hashtext(name))"
        " FROM unnest(%s::text[]) WITH ORDINALITY named (name, place) ORDER BY place",
        (CHOICE_LOCK, list(names)),
    )
    return [got for (got,) in rows]


def out(connection: Connection[Any]) -> list[Out]:
    """What is running and hinted, in every queue of jobs."""
    rows = connection.execute(OUT, {"queues": list(JOBS)})
    return [Out(*row) for row in rows]


def with_jobs(connection: Connection[Any], queues: Collection[str]) -> set[str]:
    """Those of `queues` with a job that could be hinted, due or not: a probe of an index each."""
    return {queue for (queue,) in connection.execute(WITH_JOBS, (list(queues),))}


def waiting(connection: Connection[Any], queue: str, room: int) -> list[Due]:
    """By account and in their order, the first `room` due jobs of each account's each version."""
    rows = [Due(*row) for row in connection.execute(WAITING, {"queue": queue, "room": room})]
    return sorted(rows, key=lambda due: (due.account_id, due.run_after, due.job_id))


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


def note_held(connection: Connection[Any], since: Mapping[UUID, datetime]) -> None:
    """These jobs were held back in their queue since then, for a model that is left alone."""
    connection.execute(
        "UPDATE jobs j SET held_since = one.since"
        " FROM unnest(%s::uuid[], %s::timestamptz[]) AS one (id, since)"
        " WHERE j.id = one.id AND j.status = 'queued' AND j.held_since IS NULL",
        (list(since), list(since.values())),
    )


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
