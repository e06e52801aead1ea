"""Which jobs have a hint out: the statements of the dispatcher's choice.

One dispatcher at a time chooses for a pool of queues, under an advisory lock. The dispatcher that
leads holds it as long as its connection lives; another one until its transaction ends. A hint is a
mark in the row (`hint_no`). The message itself is sent after the commit, by other code.

A dispatcher that leads remembers what waits and what it has sent. Its usual statements read few
rows, also while a snapshot keeps dead rows from being removed: a job by its id, a group from its
first due job on, arrivals of the last moments. HEADS and OUT read everything that is live.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb

from tierline.rules.scheduling import Turns

CHOICE_LOCK = 0x7E21_0002  # the first half of the advisory lock's key; the second is the pool
LEADER = "leader"  # its holder is the dispatcher that chooses, until its connection ends
LEADS_S = 15  # how long a leader may be silent
LIMIT_IDLE = "SELECT set_config('idle_session_timeout', %s, false)"
LIMITED = "limited accounts"  # its holder chooses for accounts with a limit over all pools

# A recursive loose scan: one index probe finds the first job of each group, which is an account's
# waiting jobs of one version and tier. The tier determines the models: jobs whose models are at
# their limit must not hide other jobs. statement_timestamp() is stable, so it is read once.
HEADS = """
WITH RECURSIVE head (account_id, version_id, tier, run_after) AS (
    (SELECT account_id, feature_version_id, tier, run_after FROM jobs
     WHERE part < 2 AND queue = %(queue)s AND status = 'queued' AND hint_no IS NULL
     ORDER BY account_id, feature_version_id, tier, run_after LIMIT 1)
    UNION ALL
    SELECT following.account_id, following.feature_version_id, following.tier, following.run_after
    FROM head CROSS JOIN LATERAL (
        SELECT account_id, feature_version_id, tier, run_after FROM jobs
        WHERE part < 2 AND queue = %(queue)s AND status = 'queued' AND hint_no IS NULL
            AND (account_id, feature_version_id, tier)
                > (head.account_id, head.version_id, head.tier)
        ORDER BY account_id, feature_version_id, tier, run_after LIMIT 1
    ) following
)
SELECT a.id, a.weight, a.max_jobs_in_progress, head.version_id, head.tier, head.run_after
FROM head JOIN accounts a ON a.id = head.account_id
WHERE head.run_after <= statement_timestamp()
"""

# The version and the tier are compared with >= and <=, because with = the planner would use another
# index for the order, and read every version's rows.
DUE = """
SELECT groups.account_id, due.id, groups.version_id, groups.tier, due.run_after, due.batch_id
FROM unnest(%(accounts)s::bigint[], %(versions)s::bigint[], %(tiers)s::text[],
        %(marks)s::timestamptz[], %(most)s::int[])
    AS groups (account_id, version_id, tier, mark, most)
CROSS JOIN LATERAL (
    SELECT id, run_after, batch_id FROM jobs
    WHERE part < 2 AND queue = %(queue)s AND account_id = groups.account_id
        AND (feature_version_id, tier, run_after)
            >= (groups.version_id, groups.tier, groups.mark)
        AND (feature_version_id, tier, run_after)
            <= (groups.version_id, groups.tier, statement_timestamp())
        AND status = 'queued' AND hint_no IS NULL AND id <> ALL(%(without)s)
    ORDER BY feature_version_id, tier, run_after LIMIT groups.most
) due
"""

# Jobs that came due within the last `since_s` seconds, by group. In the order of the index: without
# it, a plan made while the table is small may use another index, and read all rows of the queue.
# Jobs of jobs_before are read by HEADS alone: a job that returns to its queue goes to jobs_live.
ARRIVED = """
SELECT lane.queue, j.account_id, j.feature_version_id, j.tier, min(j.run_after)
FROM unnest(%(queues)s::text[]) lane (queue)
CROSS JOIN LATERAL (
    SELECT account_id, feature_version_id, tier, run_after FROM jobs
    WHERE part = 1 AND queue = lane.queue
        AND run_after > statement_timestamp() - make_interval(secs => %(since_s)s)
        AND run_after <= statement_timestamp()
        AND status = 'queued' AND hint_no IS NULL
    ORDER BY run_after
) j
GROUP BY 1, 2, 3, 4
"""

_OUT = """
SELECT id, account_id, feature_version_id, tier, queue, status = 'queued', hint_no, claim_token
FROM jobs
"""
# jobs_live has no index of these: hints and claims would have to write it. jobs_before has.
OUT = f"""
{_OUT} WHERE part = 1 AND (status = 'in_progress' OR status = 'queued' AND hint_no IS NOT NULL)
UNION ALL {_OUT} WHERE part = 0 AND status = 'in_progress'
UNION ALL {_OUT} WHERE part = 0 AND status = 'queued' AND hint_no IS NOT NULL
"""
OUT_AMONG = f"""
{_OUT} WHERE part < 2 AND id = ANY(%s)
    AND (status = 'in_progress' OR status = 'queued' AND hint_no IS NOT NULL)
"""

ACCOUNTS = "SELECT id, weight, max_jobs_in_progress FROM accounts WHERE id = ANY(%s)"

# Rows that another transaction has locked are left out: waiting for one would stop all accounts.
#
# Under the choice's lock nobody else hints them. With `hint_no IS NULL` in addition, the planner
# would search the backlog's whole index instead of looking the rows up by id.
_FREE = """ARRAY(
    SELECT id FROM jobs WHERE part < 2 AND id = ANY(%s) AND status = 'queued' FOR UPDATE SKIP LOCKED
)"""
MARK = f"""
UPDATE jobs SET hint_no = nextval('hint_numbers')
WHERE part < 2 AND id = ANY({_FREE}) AND status = 'queued'
RETURNING id, queue
"""
UNMARK = f"""
UPDATE jobs SET hint_no = NULL WHERE part < 2 AND id = ANY({_FREE}) AND status = 'queued'
"""
NOTE_HELD = f"""
UPDATE jobs j SET held_since = one.since
FROM unnest(%s::uuid[], %s::timestamptz[]) AS one (id, since)
WHERE j.part < 2 AND j.id = one.id AND j.id = ANY({_FREE}) AND j.status = 'queued'
    AND j.held_since IS NULL
"""


class OutJob(NamedTuple):
    """A job that runs or has a hint out."""

    job_id: UUID
    account_id: int
    version_id: int
    tier: str
    queue: str
    hinted: bool  # it waits with a hint; otherwise it runs
    hint_no: int | None
    token: UUID | None  # of its claim, if it runs


class Arrived(NamedTuple):
    """A group with jobs that came due lately."""

    queue: str
    account_id: int
    version_id: int
    tier: str
    run_after: datetime  # of the first of them


class GroupRead(NamedTuple):
    """What to read of one group."""

    account_id: int
    version_id: int
    tier: str
    mark: datetime  # no job is due since an earlier time
    most: int


class Head(NamedTuple):  # one per group and choice: a dataclass costs several times as much
    """The first due job of an account's waiting jobs of one version and tier."""

    account_id: int
    weight: int
    max_jobs_in_progress: int | None  # the account's own
    version_id: int
    tier: str
    run_after: datetime


class Due(NamedTuple):
    """A job that is due."""

    account_id: int
    job_id: UUID
    version_id: int
    tier: str
    run_after: datetime
    batch_id: UUID | None


def lock_choice(connection: Connection[Any], pool: str) -> bool:
    """Become the only one that chooses for `pool` until this transaction ends; False: another one
    does.

    It is a separate statement, so that the snapshot of the next one is taken under the lock.
    """
    return _lock(connection, pool)[0]


def lock_choice_in_all(connection: Connection[Any], pool: str) -> tuple[bool, bool]:
    """`lock_choice`, and whether this caller also chooses for accounts that have a limit over all
    pools.

    There is one such caller at a time, for any pool.
    """
    chooses, in_all = _lock(connection, pool, LIMITED)
    return chooses, in_all


def hold_choice_in_all(connection: Connection[Any], pool: str) -> tuple[bool, bool]:
    """`lock_choice_in_all` for as long as this connection lives, for the dispatcher that leads.

    Its choices then need no transaction, and so no BEGIN and COMMIT. May be called again.
    """
    chooses, in_all = _lock(connection, pool, LIMITED, function="pg_try_advisory_lock")
    return chooses, in_all


def _lock(
    connection: Connection[Any], *names: str, function: str = "pg_try_advisory_xact_lock"
) -> list[bool]:
    rows = connection.execute(
        f"SELECT {function}(%s, hashtext(name))"
        " FROM unnest(%s::text[]) WITH ORDINALITY named (name, place) ORDER BY place",
        (CHOICE_LOCK, list(names)),
    )
    return [got for (got,) in rows]


def lead(connection: Connection[Any]) -> bool:
    """Become the only dispatcher that chooses, for as long as this connection lives and is used.

    Postgres ends it after LEADS_S seconds without a statement, so that a frozen process holds up no
    other. False: another one leads. May be called again.
    """
    row = connection.execute(
        "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (CHOICE_LOCK, LEADER)
    ).fetchone()
    if row is None or not row[0]:
        return False
    connection.execute(LIMIT_IDLE, (f"{LEADS_S}s",))
    return True


def out(connection: Connection[Any]) -> list[OutJob]:
    """Every job that runs or has a hint out, in every queue. Reads all live jobs: see
    `read_whole_tables`.
    """
    return [OutJob(*row) for row in connection.execute(OUT)]


def out_among(connection: Connection[Any], job_ids: Collection[UUID]) -> list[OutJob]:
    """Those of the jobs that run or have a hint out."""
    return [OutJob(*row) for row in connection.execute(OUT_AMONG, (list(job_ids),))]


def read_whole_tables(connection: Connection[Any], *, on: bool) -> None:
    """Whether the next statements of this transaction may read a table from its beginning to its
    end, where the others of a dispatcher use indexes.
    """
    connection.execute("SELECT set_config('enable_seqscan', %s, true)", ("on" if on else "off",))


def arrived(connection: Connection[Any], queues: Collection[str], since_s: float) -> list[Arrived]:
    """The groups with jobs that came due within the last `since_s` seconds and have no hint."""
    rows = connection.execute(ARRIVED, {"queues": list(queues), "since_s": since_s})
    return [Arrived(*row) for row in rows]


def heads(connection: Connection[Any], queue: str) -> list[Head]:
    """The first due job of each waiting group in `queue`: one index probe each."""
    return [Head(*row) for row in connection.execute(HEADS, {"queue": queue})]


def accounts(
    connection: Connection[Any], account_ids: Collection[int]
) -> dict[int, tuple[int, int | None]]:
    """Weight and own limit of jobs in progress, by account."""
    rows = connection.execute(ACCOUNTS, (list(account_ids),))
    return {id: (weight, most) for id, weight, most in rows}


def due(
    connection: Connection[Any],
    queue: str,
    groups: Sequence[GroupRead],
    without: Collection[UUID] = (),
) -> list[Due]:
    """The due jobs of each group, as many as it is to give, in its order; none of `without`."""
    if not groups:
        return []
    parameters = {
        "queue": queue,
        "accounts": [group.account_id for group in groups],
        "versions": [group.version_id for group in groups],
        "tiers": [group.tier for group in groups],
        "marks": [group.mark for group in groups],
        "most": [group.most for group in groups],
        "without": list(without),
    }
    return [Due(*row) for row in connection.execute(DUE, parameters)]


def read_turns(connection: Connection[Any], queue: str) -> Turns:
    """Whose turn it is in `queue`."""
    row = connection.execute("SELECT state FROM queue_turns WHERE queue = %s", (queue,)).fetchone()
    return Turns() if row is None else Turns(**row[0])


def write_turns(connection: Connection[Any], queue: str, turns: Turns) -> None:
    """Store whose turn it is."""
    connection.execute(
        "INSERT INTO queue_turns (queue, state) VALUES (%s, %s)"
        " ON CONFLICT (queue) DO UPDATE SET state = excluded.state",
        (queue, Jsonb({"account_id": turns.account_id, "left": turns.left})),
    )


def mark(connection: Connection[Any], job_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Mark jobs as hinted and return the queue of each. Jobs that changed meanwhile, and locked
    ones, are left out.
    """
    return dict(connection.execute(MARK, (list(job_ids),)).fetchall())


def note_held(connection: Connection[Any], since: Mapping[UUID, datetime]) -> None:
    """Record that these jobs were held in their queue since then, for a model whose circuit is
    open.
    """
    connection.execute(NOTE_HELD, (list(since), list(since.values()), list(since)))


def unmark(connection: Connection[Any], job_ids: Collection[UUID]) -> None:
    """Their hints were not sent or are lost, so they may be chosen again. Locked jobs keep their
    hint and are found lost again later.
    """
    connection.execute(UNMARK, (list(job_ids),))
