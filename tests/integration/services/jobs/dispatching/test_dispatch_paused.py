"""A paused batch's jobs are in no choice, and slow no choice for others."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.explained import Recorded
from tests.support.database.rows import add_job
from tests.support.scenes.dispatching import account, choose_hints, fill, leading, owners
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.services.batches import pause
from tierline.services.batches.batch import cancel
from tierline.services.jobs.dispatching.held_batches import HeldBatches
from tierline.storage.batches import pauses
from tierline.storage.jobs import hints

MANY = 5_000
ROWS = 6


def add_batch(connection: Connection[Any], owner: int, version: int) -> UUID:
    batch = new_id()
    connection.execute(
        "INSERT INTO batches (id, account_id, feature_version_id, status)"
        " VALUES (%s, %s, %s, 'sealed')",
        (batch, owner, version),
    )
    return batch


@pytest.fixture
def owner(pool: ConnectionPool[Any]) -> int:
    return account(pool, "acme")


@pytest.fixture
def batch(pool: ConnectionPool[Any], owner: int, version: int) -> UUID:
    """A sealed batch of ROWS waiting jobs."""
    with pool.connection() as connection:
        made = add_batch(connection, owner, version)
        for row in range(ROWS):
            add_job(connection, owner, version, batch_id=made, batch_row=100_001 + row)
    return made


def do(pool: ConnectionPool[Any], service: Any, owner: int, batch: UUID) -> None:
    with pool.connection() as connection:
        service(connection, owner, batch)


def due_times(pool: ConnectionPool[Any]) -> list[Any]:
    with pool.connection() as connection:
        return connection.execute("SELECT batch_row, run_after FROM jobs ORDER BY 1").fetchall()


def held(pool: ConnectionPool[Any]) -> int:
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM jobs WHERE run_after > now() + interval '1 year'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_paused_batch_gets_no_hint_until_it_is_resumed(
    pool: ConnectionPool[Any], version: int, owner: int, batch: UUID
) -> None:
    before = due_times(pool)
    with leading(pool) as (dispatch, connection):
        dispatch.look(connection)
        do(pool, pause.pause, owner, batch)
        assert dispatch.choose_on(connection, "slm", 16).queue_of == {}
        assert held(pool) == ROWS
        with pool.connection() as other:
            later = add_job(other, owner, version, batch_id=batch, batch_row=200_001)
        dispatch.look(connection)
        assert dispatch.choose_on(connection, "slm", 16).queue_of == {}, "an added job waits too"
        do(pool, pause.resume, owner, batch)
        assert HeldBatches().look(pool)
        dispatch.returned()
        dispatch.look(connection)
        assert due_times(pool)[:ROWS] == before, "each is due as before"
        chosen = dispatch.choose_on(connection, "slm", 16).queue_of
    assert len(chosen) == ROWS + 1
    assert later in chosen


def test_nobody_resumes_a_batch_while_a_choice_holds_its_jobs(
    pool: ConnectionPool[Any], owner: int, batch: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its jobs would be held after the resume, and nobody would let them go."""
    locked = []

    def hold_due(connection: Connection[Any], jobs: Mapping[UUID, UUID]) -> None:
        real(connection, jobs)
        with pool.connection() as other:
            row = other.execute(
                "SELECT FROM batches WHERE id = %s FOR UPDATE SKIP LOCKED", (batch,)
            )
            locked.append(row.fetchone() is None)

    real = pauses.hold_due
    monkeypatch.setattr(pauses, "hold_due", hold_due)
    with leading(pool) as (dispatch, connection):
        dispatch.look(connection)
        do(pool, pause.pause, owner, batch)
        dispatch.choose_on(connection, "slm", 16)
    assert locked == [True]


def test_a_pause_outlives_the_process_that_holds_its_jobs(
    pool: ConnectionPool[Any], owner: int, batch: UUID
) -> None:
    do(pool, pause.pause, owner, batch)
    for _ in range(2):
        assert not HeldBatches().look(pool)
        assert held(pool) == ROWS
    do(pool, pause.resume, owner, batch)
    assert HeldBatches().look(pool)
    assert not HeldBatches().look(pool)
    assert held(pool) == 0
    assert len(choose_hints(pool, "slm", threads=16, spare=4).queue_of) == ROWS


def test_a_job_that_is_locked_at_the_resume_goes_on_later(
    pool: ConnectionPool[Any], owner: int, batch: UUID
) -> None:
    do(pool, pause.pause, owner, batch)
    batches = HeldBatches()
    batches.look(pool)
    do(pool, pause.resume, owner, batch)
    with pool.connection() as other, other.transaction():
        other.execute("SELECT FROM jobs WHERE batch_row = 100003 FOR UPDATE")
        batches.look(pool)
        assert held(pool) == 1
    batches.look(pool)
    assert held(pool) == 0


def test_parts_that_arrive_in_another_order_are_held_too(
    pool: ConnectionPool[Any], version: int, owner: int, batch: UUID
) -> None:
    do(pool, pause.pause, owner, batch)
    batches = HeldBatches()
    batches.look(pool)
    with pool.connection() as connection:
        add_job(connection, owner, version, batch_id=batch, batch_row=1)

    def all_held() -> bool:
        batches.look(pool)
        return held(pool) == ROWS + 1

    wait_until(all_held, DEADLINE_S, "the job of the earlier part to be held")


def test_a_pause_is_no_wait_for_a_model_or_for_money(
    pool: ConnectionPool[Any], owner: int, batch: UUID
) -> None:
    with pool.connection() as connection:
        connection.execute("UPDATE jobs SET held_since = now() - interval '1 hour'")
    for service in (pause.pause, pause.resume):
        do(pool, service, owner, batch)
        HeldBatches().look(pool)
    with pool.connection() as connection:
        waits = connection.execute("SELECT DISTINCT held_since FROM jobs").fetchall()
    assert waits == [(None,)], "else it would be over at once: the job would go to another tier"


def test_jobs_that_another_dispatcher_let_go_are_reported_too(
    pool: ConnectionPool[Any], owner: int, batch: UUID
) -> None:
    do(pool, pause.pause, owner, batch)
    leads, other = HeldBatches(), HeldBatches()
    assert not leads.look(pool)
    do(pool, pause.resume, owner, batch)
    assert other.look(pool)
    assert leads.look(pool)
    assert not leads.look(pool)


def test_a_part_that_is_written_keeps_no_jobs_from_being_held(
    pool: ConnectionPool[Any], owner: int, batch: UUID
) -> None:
    do(pool, pause.pause, owner, batch)
    with pool.connection() as other, other.transaction():
        other.execute("SELECT FROM batches WHERE id = %s FOR SHARE", (batch,))
        HeldBatches().look(pool)
        assert held(pool) == ROWS


def test_a_paused_batch_can_be_cancelled(
    pool: ConnectionPool[Any], owner: int, batch: UUID
) -> None:
    do(pool, pause.pause, owner, batch)
    HeldBatches().look(pool)
    do(pool, cancel, owner, batch)
    with pool.connection() as connection:
        rows = connection.execute("SELECT DISTINCT status FROM jobs").fetchall()
        flags = connection.execute("SELECT status, paused_at, holds_jobs FROM batches").fetchall()
    assert rows == [("cancelled",)]
    assert flags == [("cancelled", None, False)]


def test_a_choice_beside_a_paused_batch_of_many_jobs_reads_none_of_them(
    pool: ConnectionPool[Any], version: int, owner: int
) -> None:
    """The jobs of the batch are the oldest of their account, version and tier."""
    with pool.connection() as connection:
        batch = add_batch(connection, owner, version)
        fill(connection, [owner], version, MANY)
        connection.execute(
            "UPDATE jobs SET batch_id = %s, batch_row = seq, queue = 'slm-backfill'", (batch,)
        )
        connection.execute("VACUUM ANALYZE jobs_live")
    do(pool, pause.pause, owner, batch)
    HeldBatches().look(pool)
    assert held(pool) == MANY
    quiet = account(pool, "quiet")
    with pool.connection() as connection:
        for one in (owner, quiet):
            for _ in range(3):
                add_job(connection, one, version, queue="slm-backfill")
        connection.execute("VACUUM ANALYZE jobs_live")
    recorded = Recorded()
    with leading(pool) as (dispatch, connection), recorded.recording():
        dispatch.look(connection)
        chosen = dispatch.choose_on(connection, "slm", 16).queue_of
    assert owners(pool, chosen) == {owner: 3, quiet: 3}
    # What is out is found by reading all live jobs, as once a second: the choice by indexes.
    whole = " ".join(hints.OUT.split())
    worst = max((one for one in recorded.statements if one.text != whole), key=lambda one: one.rows)
    assert worst.rows < 100, str(worst)
