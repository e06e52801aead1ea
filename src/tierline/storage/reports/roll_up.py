"""Adds ended attempts and jobs, with their calls, to the sums. Each is counted once.

How it is safe: an attempt has a number (`attempts.seq`), which its transaction takes after its own
id. A number counts as visible once every transaction with an id from before that number was known
has ended (`visible_to`). A step takes the visible numbers that no step took before. Attempts that
run, or have a call that was not settled, go to `sums_pending`, and each step looks at those again.
So a late commit, a late cost or a long attempt is counted when it is there. What is in neither is
in the sums, and reports read the rest from its own rows (`uncounted`).

A step is one transaction on one snapshot. Two at once would both write the row of `sums_state`, so
that one of them fails and changes nothing. A process that is killed in a step changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import Connection

from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.storage.db.homes import Span, read_at_homes
from tierline.storage.db.rows import one_row
from tierline.storage.db.snapshot import look_up, one_snapshot
from tierline.storage.reports.facts import JOBS, LATENCIES, TIERS, USAGE, add
from tierline.storage.reports.floors import keep_floor

FINAL = sorted(str(verdict) for verdict in {Verdict.PASSED, Verdict.TOO_COMPLEX} | CHECK_FAILURES)
"""Verdicts after which the same tier is not called again."""

NEXT_NUMBER = "SELECT last_value + is_called::int FROM attempt_numbers"
# An id of its own, because the xmax of a snapshot is only behind the last transaction that has
# ended: transactions that still run may have that id and higher ones.
NEXT_XID = "SELECT pg_current_xact_id()::text::bigint"

HOLD = """
SELECT rolled_to, visible_to, next_visible_to, next_xid, history_from, since, tail_from,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax
FROM sums_state FOR UPDATE SKIP LOCKED
"""
MOVE = """
UPDATE sums_state SET rolled_to = %(rolled_to)s, visible_to = %(visible_to)s,
    next_visible_to = %(next_visible_to)s, next_xid = %(next_xid)s,
    history_from = %(history_from)s, tail_from = %(tail_from)s
"""


# {which}: the attempts a to look at.
_LOOK = """
SELECT a.job_id, a.number, a.ended_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM calls c
        WHERE c.job_id = a.job_id AND c.attempt = a.number AND c.settled_at IS NULL) AS done,
    j.completed_at IS NOT NULL AND j.attempts <= a.number AS last
FROM {which} JOIN jobs j ON j.id = a.job_id
"""
NEW = _LOOK.format(which="attempts a") + "WHERE a.seq >= %(low)s AND a.seq < %(high)s"
WAITING = (
    _LOOK.format(
        which="sums_pending p JOIN attempts a ON a.job_id = p.job_id AND a.number = p.attempt"
    )
    + "WHERE a.seq IS NULL OR a.seq < %(low)s"
)
OLD = (
    _LOOK.format(which="attempts a")
    + "WHERE a.seq IS NULL AND a.job_id >= %(low)s AND a.job_id < %(high)s"
)
# Attempts of jobs that ended long ago: a call that a crash cut is never settled.
LEFT = """
SELECT a.job_id, a.number, true AS done, j.attempts <= a.number AS last
FROM sums_pending p JOIN attempts a ON a.job_id = p.job_id AND a.number = p.attempt
JOIN jobs j ON j.id = a.job_id
WHERE p.job_id >= %(first)s AND p.job_id < %(end)s AND a.job_id >= %(first)s AND a.job_id < %(end)s
    AND j.completed_at < %(ended_before)s AND (a.seq IS NULL OR a.seq < %(rolled_to)s)
LIMIT %(most)s
"""
ANY_LEFT = "SELECT EXISTS (SELECT FROM sums_pending WHERE job_id >= %s AND job_id < %s)"
OLD_JOBS = "SELECT id FROM jobs WHERE id >= %(low)s ORDER BY id LIMIT %(most)s"
OLD_ENDED = """
SELECT id FROM jobs WHERE id >= %(low)s AND id < %(high)s AND completed_at < %(since)s
"""
ENDED_WAITING = "SELECT job_id FROM sums_pending WHERE attempt = 0"

# An attempt that was forgotten before it sent anything, or was removed with its partition.
GONE = """
DELETE FROM sums_pending p WHERE NOT EXISTS (
    SELECT FROM attempts a WHERE a.job_id = p.job_id AND a.number = p.attempt
) AND (p.attempt > 0 OR NOT EXISTS (SELECT FROM jobs j WHERE j.id = p.job_id))
"""

_DONE = """
done (job_id, number) AS MATERIALIZED (
    SELECT * FROM unnest(%(job_ids)s::uuid[], %(numbers)s::int[])
)"""
CHOSEN = {
    "chosen_attempts": f"{_DONE}, chosen_attempts AS (SELECT * FROM done)",
    "chosen_calls": f"""{_DONE}, chosen_calls AS (
    SELECT c.job_id, c.attempt, c.number FROM done
    JOIN @calls c ON c.job_id = done.job_id AND c.attempt = done.number
)""",
    "chosen_jobs": "chosen_jobs (job_id) AS (SELECT * FROM unnest(%(job_ids)s::uuid[]))",
}
COUNT_ATTEMPTS = (
    add(USAGE, CHOSEN["chosen_calls"]),
    add(TIERS, CHOSEN["chosen_attempts"]),
    add(LATENCIES, CHOSEN["chosen_attempts"]),
)
COUNT_JOBS = add(JOBS, CHOSEN["chosen_jobs"])

KEEP_PENDING = """
INSERT INTO sums_pending (job_id, attempt)
SELECT * FROM unnest(%(job_ids)s::uuid[], %(numbers)s::int[]) ON CONFLICT DO NOTHING
"""
DROP_PENDING = """
DELETE FROM sums_pending p USING unnest(%(job_ids)s::uuid[], %(numbers)s::int[]) d (job_id, number)
WHERE p.job_id = d.job_id AND p.attempt = d.number
"""

# A job is counted when all of its attempts are.
COMPLETE = """
SELECT k.id FROM unnest(%(ids)s::uuid[]) k (id)
WHERE NOT EXISTS (SELECT FROM sums_pending p WHERE p.job_id = k.id AND p.attempt > 0)
    AND NOT EXISTS (
        SELECT FROM attempts a WHERE a.job_id = k.id AND (a.seq >= %(rolled_to)s
            OR a.seq IS NULL AND a.job_id >= %(history_from)s::uuid))
"""


class Looked(NamedTuple):
    """An attempt that a step looked at."""

    job_id: UUID
    number: int
    done: bool  # it has ended, and all of its calls are settled
    last: bool  # its job has ended, and it was the job's last attempt


@dataclass
class _State:
    """The row of sums_state while a step changes it."""

    rolled_to: int
    visible_to: int
    next_visible_to: int | None
    next_xid: int | None
    history_from: UUID | None
    since: datetime
    tail_from: UUID | None

    def see(self, number: int, xid: int, xmin: int, xmax: int) -> None:
        """Move `visible_to` as far as is safe. `number` was the next number of an attempt before
        transaction `xid` began, and that was before this snapshot.

        A stored id above `xmax` is of another server, from which this database was restored.
        """
        if self.next_xid is not None and self.next_visible_to is not None:
            if xmin >= self.next_xid:
                self.visible_to = max(self.visible_to, self.next_visible_to)
            elif self.next_xid <= xmax:
                return
        self.next_visible_to, self.next_xid = number, xid
        if xmin >= xid:
            self.visible_to = max(self.visible_to, number)


def roll_up(connection: Connection[Any], most: int) -> int:
    """Count what is new since the last step, up to `most` attempts. Returns how many numbers of
    attempts it moved on; 0 also while another process does this.
    """
    number, xid = _fence(connection)
    try:
        with one_snapshot(connection):
            look_up(connection)
            row = one_row(connection, HOLD)
            if row is None:
                return 0
            xmin, xmax = row.pop("xmin"), row.pop("xmax")
            state = _State(**row)
            state.see(number, xid, xmin, xmax)
            low, high = state.rolled_to, min(state.visible_to, state.rolled_to + most)
            bounds = {"low": low, "high": high}
            looked = _look(connection, NEW, bounds) if high > low else []
            connection.execute(GONE)
            looked += _look(connection, WAITING, bounds)
            state.rolled_to = max(low, high)
            ended = [id for (id,) in connection.execute(ENDED_WAITING)]
            _count(connection, state, looked, ended)
            state.tail_from = keep_floor(connection, state.tail_from, state.rolled_to)
            connection.execute(MOVE, vars(state))
    except psycopg.errors.SerializationFailure:
        return 0
    return state.rolled_to - low


def roll_up_history(connection: Connection[Any], most: int) -> bool:
    """Count the next `most` jobs of what was there before attempts had numbers. False: all of it is
    counted. True also while another process rolls up.
    """
    try:
        with one_snapshot(connection):
            look_up(connection)
            row = one_row(connection, HOLD)
            if row is None:
                return True
            del row["xmin"], row["xmax"]
            state = _State(**row)
            if state.history_from is None:
                return False
            low = state.history_from
            ids = [id for (id,) in connection.execute(OLD_JOBS, {"low": low, "most": most})]
            state.history_from = UUID(int=ids[-1].int + 1) if len(ids) == most else None
            state.tail_from = None  # what it leaves for later may be of any age
            if ids:
                bounds = {"low": low, "high": UUID(int=ids[-1].int + 1), "since": state.since}
                looked = _look(connection, OLD, bounds)
                ended = [id for (id,) in connection.execute(OLD_ENDED, bounds)]
                _count(connection, state, looked, ended)
            connection.execute(MOVE, vars(state))
    except psycopg.errors.SerializationFailure:
        return True
    return state.history_from is not None


def roll_up_left(
    connection: Connection[Any], first: UUID, end: UUID, ended_before: datetime, most: int
) -> int:
    """Count attempts that wait for calls which nobody will settle: those stay of unknown cost.

    Only for jobs that ended so long ago that no process can still hold their calls: before
    `ended_before`, with an id from `first` on and below `end`. Returns how many attempts, at most
    `most`.
    """
    if connection.execute(ANY_LEFT, (first, end)).fetchone() == (False,):
        return 0
    try:
        with one_snapshot(connection):
            look_up(connection)
            row = one_row(connection, HOLD)
            if row is None:
                return 0
            del row["xmin"], row["xmax"]
            state = _State(**row)
            bounds = {
                "first": first,
                "end": end,
                "ended_before": ended_before,
                "most": most,
                "rolled_to": state.rolled_to,
            }
            left = _look(connection, LEFT, bounds)
            _count(connection, state, left, [])
            # Two steps at once would both write this row.
            connection.execute(MOVE, vars(state))
    except psycopg.errors.SerializationFailure:
        return 0
    return len(left)


def _fence(connection: Connection[Any]) -> tuple[int, int]:
    """The number that the next attempt will get, then the id of a transaction that begins after
    that: whoever has a lower number has a lower id. In two statements, because the order matters.
    """
    number = connection.execute(NEXT_NUMBER).fetchone()
    xid = connection.execute(NEXT_XID).fetchone()
    assert number is not None, "an expression on a sequence gives one row"
    assert xid is not None, "an expression gives one row"
    return number[0], xid[0]


def _look(
    connection: Connection[Any], statement: str, parameters: Mapping[str, Any]
) -> list[Looked]:
    return [Looked(*row) for row in connection.execute(statement, parameters)]


def _count(
    connection: Connection[Any], state: _State, looked: Sequence[Looked], ended: Collection[UUID]
) -> None:
    """Count what is done of these attempts, and the jobs of which everything is counted then."""
    done = [one for one in looked if one.done]
    if looked:
        connection.execute(KEEP_PENDING, _arrays([one for one in looked if not one.done]))
    if done:
        attempts = _arrays(done)
        connection.execute(DROP_PENDING, attempts)
        parameters = attempts | {"final": FINAL}
        span = _span(one.job_id for one in done)
        for statement in COUNT_ATTEMPTS:
            _execute(connection, statement, span, parameters)
    jobs = {one.job_id for one in done if one.last}.union(ended)
    if not jobs:
        return
    parameters = {
        "ids": list(jobs),
        "rolled_to": state.rolled_to,
        "history_from": state.history_from,
    }
    complete = [id for (id,) in connection.execute(COMPLETE, parameters)]
    for statement, ids in ((DROP_PENDING, complete), (KEEP_PENDING, jobs.difference(complete))):
        connection.execute(statement, {"job_ids": list(ids), "numbers": [0] * len(ids)})
    if complete:
        _execute(connection, COUNT_JOBS, _span(complete), {"job_ids": complete})


def _execute(
    connection: Connection[Any], statement: str, span: Span, parameters: Mapping[str, Any]
) -> None:
    read_at_homes(
        connection, statement, [span], lambda named: connection.execute(named, parameters)
    )


def _span(ids: Iterable[UUID]) -> Span:
    listed = list(ids)
    return Span(min(listed), max(listed))


def _arrays(attempts: Sequence[Looked]) -> dict[str, Any]:
    return {
        "job_ids": [one.job_id for one in attempts],
        "numbers": [one.number for one in attempts],
    }
