"""Paused batches. Their waiting jobs are held: each is due a thousand years later than before.

So a dispatcher's choice reads no held job, however many there are: it reads what is due. The time
before the pause is not lost. A batch of many jobs is held, and let go, in chunks. Whoever holds or
lets go locks the batch first, so that its pause cannot begin or end meanwhile.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

# In hours, which are as long in every time zone: what is added can be taken away again exactly.
HELD_FOR = "interval '8766000 hours'"
IS_HELD = "run_after > statement_timestamp() + interval '4383000 hours'"
RUNNING = "status IN ('open', 'sealed')"

PAUSE = f"""
UPDATE batches SET paused_at = clock_timestamp(), holds_jobs = true
WHERE id = %(id)s AND account_id = %(account_id)s AND {RUNNING} AND paused_at IS NULL
"""
RESUME = f"""
UPDATE batches SET paused_at = NULL
WHERE id = %(id)s AND account_id = %(account_id)s AND {RUNNING} AND paused_at IS NOT NULL
"""
HOLDING = f"""
SELECT id, paused_at IS NOT NULL AND {RUNNING}, {RUNNING} FROM batches WHERE holds_jobs
"""
PAUSED_AMONG = f"""
SELECT id FROM batches WHERE id = ANY(%s) AND {RUNNING} AND paused_at IS NOT NULL
"""
# For the choice, which waits for nobody: see `hints._FREE`.
LOCK_PAUSED = f"{PAUSED_AMONG} FOR SHARE SKIP LOCKED"
# Shared: a part that is written at the same time holds the batch like that.
LOCK = f"""
SELECT id, paused_at IS NOT NULL AND {RUNNING}, {RUNNING} FROM batches
WHERE id = %s FOR SHARE
"""

_WAITS = "status = 'queued' AND hint_no IS NULL"
_NEXT = f"""
SELECT id, batch_row FROM jobs
WHERE part < 2 AND batch_id = %(id)s AND batch_row > %(after)s AND {_WAITS} AND {{rows}}
ORDER BY batch_row LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""
NEXT_TO_HOLD = _NEXT.format(rows=f"NOT {IS_HELD}")
NEXT_HELD = _NEXT.format(rows=IS_HELD)
HOLD = f"UPDATE jobs SET run_after = run_after + {HELD_FOR} WHERE part < 2 AND id = ANY(%s)"
# A pause is no wait for a model or for money, which would end the job or take it to another tier.
LET_GO = f"""
UPDATE jobs SET run_after = run_after - {HELD_FOR}, held_since = NULL
WHERE part < 2 AND id = ANY(%s)
"""
FREE_TO_HOLD = f"""
SELECT id FROM jobs WHERE part < 2 AND id = ANY(%s) AND {_WAITS} AND NOT {IS_HELD}
FOR UPDATE SKIP LOCKED
"""
# A process of the release before may have ended a paused batch.
HOLDS_NONE = f"""
UPDATE batches SET holds_jobs = false, paused_at = CASE WHEN {RUNNING} THEN paused_at END
WHERE id = (SELECT id FROM batches WHERE id = %(id)s FOR NO KEY UPDATE SKIP LOCKED)
    AND (NOT ({RUNNING}) OR paused_at IS NULL AND NOT EXISTS (
    SELECT FROM jobs j WHERE j.part < 2 AND j.batch_id = %(id)s
        AND j.status = 'queued' AND {IS_HELD}))
"""


class Holding(NamedTuple):
    """A batch that holds jobs, or is to hold them."""

    batch_id: UUID
    paused: bool
    running: bool  # open or sealed; otherwise it is not paused


class Chunk(NamedTuple):
    """Jobs of a batch that were held or let go."""

    jobs: int
    last_row: int  # the batch_row of the last one, or where the chunk began


def pause(connection: Connection[Any], account_id: int, batch_id: UUID) -> bool:
    """Pause an open or sealed batch. True for one caller only. Waits for those who hold its jobs
    or let them go.
    """
    done = connection.execute(PAUSE, {"id": batch_id, "account_id": account_id})
    return done.rowcount == 1


def resume(connection: Connection[Any], account_id: int, batch_id: UUID) -> bool:
    """End the pause of an open or sealed batch. True for one caller only."""
    done = connection.execute(RESUME, {"id": batch_id, "account_id": account_id})
    return done.rowcount == 1


def holding(connection: Connection[Any]) -> list[Holding]:
    """Every batch that holds jobs, or is to hold them."""
    return [Holding(*row) for row in connection.execute(HOLDING)]


def paused_among(connection: Connection[Any], batch_ids: Collection[UUID]) -> set[UUID]:
    """Those of the batches that are paused."""
    rows = connection.execute(PAUSED_AMONG, (list(batch_ids),))
    return {batch_id for (batch_id,) in rows}


def hold_due(connection: Connection[Any], batch_of: Mapping[UUID, UUID]) -> None:
    """Hold these jobs of paused batches, in the caller's transaction. `batch_of`: the batch of
    each. Locked jobs, and those of locked batches, are left as they are.
    """
    rows = connection.execute(LOCK_PAUSED, (list(set(batch_of.values())),))
    locked = {batch_id for (batch_id,) in rows}
    jobs = [job_id for job_id, batch_id in batch_of.items() if batch_id in locked]
    free = [job_id for (job_id,) in connection.execute(FREE_TO_HOLD, (jobs,))]
    connection.execute(HOLD, (free,))


def lock(connection: Connection[Any], batch_id: UUID) -> Holding | None:
    """Keep the batch from being paused or resumed until this transaction ends. None: there is no
    such batch.
    """
    row = connection.execute(LOCK, (batch_id,)).fetchone()
    return None if row is None else Holding(*row)


def hold_next(connection: Connection[Any], batch_id: UUID, after: int, most: int) -> Chunk:
    """Hold the next waiting jobs behind row `after` of a batch that is locked here. Locked jobs are
    left as they are.
    """
    return _change(connection, NEXT_TO_HOLD, HOLD, batch_id, after, most)


def let_go_next(connection: Connection[Any], batch_id: UUID, after: int, most: int) -> Chunk:
    """Let the next held jobs behind row `after` go, of a batch that is locked here."""
    return _change(connection, NEXT_HELD, LET_GO, batch_id, after, most)


def _change(
    connection: Connection[Any], find: str, change: str, batch_id: UUID, after: int, most: int
) -> Chunk:
    rows = connection.execute(find, {"id": batch_id, "after": after, "most": most}).fetchall()
    if not rows:
        return Chunk(0, after)
    connection.execute(change, ([job_id for job_id, _ in rows],))
    return Chunk(len(rows), rows[-1][1])


def note_holds_none(connection: Connection[Any], batch_id: UUID) -> bool:
    """Record that the batch holds no job any more, if that is so and nobody else locks it."""
    return connection.execute(HOLDS_NONE, {"id": batch_id}).rowcount == 1
