"""Ends of several attempts in one statement, on a real Postgres and under real contention."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import SerializationFailure
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.rules.jobs import CheckFailed, JobState, Passed, Route, Status, next_state
from tierline.rules.queues import lane
from tierline.rules.verdicts import Verdict
from tierline.storage.db.engine import BY_INDEX, create_pool
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs import claims
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finish_together import Finish, finish_one, finish_together
from tierline.storage.jobs.finishes import Ended, Settlement, Standing, finish_parameters

QUEUES = ["slm", "deeper-analysis"]
RIGHT = Ended(
    Verdict.PASSED,
    None,
    0.5,
    "small-1",
    '{"b": "é", "a": 1}',
    {"b": "é", "a": 1},
    True,
    False,
    0.75,
)
WRONG = Ended(
    Verdict.SCHEMA, "text is 'missing'\n", 1 / 3, "small-1", "{}", {}, True, routing={"policy": "p"}
)
PAID = Settlement(
    *(1, "answer", "openai:small", 0.123456789, "small-1", 10, 3, 1, 2, 5, 4),
    cost_usd=Decimal("0.000123456789"),
    provider_request_id="req-1",
    service_tier="flex",
)
FAILED = Settlement(1, "answer", "openai:small", 0.4, error="timeout: no answer")
ROWS = """
SELECT to_jsonb(j) - '{id,seq,claim_token,created_at,run_after,started_at,completed_at}'::text[],
    j.completed_at IS NOT NULL, j.claim_token = a.claim_token,
    to_jsonb(a) - '{job_id,claim_token,started_at,ended_at,seq}'::text[], a.ended_at IS NOT NULL,
    to_jsonb(c) - '{job_id,booked_at,settled_at}'::text[], c.settled_at IS NOT NULL,
    w.text, w.output::text, w.trace::text
FROM jobs j JOIN attempts a ON a.job_id = j.id JOIN calls c ON c.job_id = j.id
LEFT JOIN answers w ON w.job_id = j.id WHERE j.id = %s
"""


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 12, BY_INDEX) as opened:
        yield opened


@pytest.fixture
def taken(pool: ConnectionPool[Any]) -> list[Claim]:
    with pool.connection() as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        jobs = [add_job(connection, account, version) for _ in range(40)]
        rows = [claims.claim(connection, job, uuid4(), QUEUES, "test") for job in jobs]
    return [claim for claim in rows if claim is not None]


def finish_of(taken: Claim, ended: Ended = RIGHT, settled: Settlement = PAID) -> Finish:
    passed = ended.verdict is Verdict.PASSED
    outcome = Passed() if passed else CheckFailed(ended.verdict, ended.reason or "")
    state = JobState(Status.IN_PROGRESS, taken.tier_index)
    transition = next_state(state, outcome, Route(tiers=(0, 1)))
    return finish_parameters(
        taken,
        tier=two_tiers().tiers[transition.job.tier_index].name,
        queue=lane(transition.job.tier_index, backfill=False),
        transition=transition,
        assumed=Standing(Status.IN_PROGRESS, taken.token, False, False, False, None),
        ended=ended,
        settled=settled,
        announced=transition.terminal is False,
    )


def together(pool: ConnectionPool[Any], finishes: list[Finish]) -> set[UUID]:
    with pool.connection() as connection:
        return finish_together(connection, finishes)


def together_or_alone(pool: ConnectionPool[Any], finishes: list[Finish]) -> set[UUID]:
    """As a worker does: if the statement meets a job that has just ended, each goes alone."""
    try:
        return together(pool, finishes)
    except SerializationFailure:
        return {token for one in finishes for token in alone(pool, one)}


def alone(pool: ConnectionPool[Any], finish: Finish) -> set[UUID]:
    while True:
        with suppress(SerializationFailure), pool.connection() as connection:
            token = finish["token"]
            assert isinstance(token, UUID)
            return {token} if finish_one(connection, finish) else set()


def status(pool: ConnectionPool[Any], claim: Claim) -> Any:
    """A job's status, and what its attempt and its call are known to be."""
    with pool.connection() as connection:
        return connection.execute(
            "SELECT j.status, a.verdict, c.cost_usd FROM jobs j JOIN attempts a ON a.job_id = j.id"
            " JOIN calls c ON c.job_id = j.id WHERE j.id = %s",
            (claim.job_id,),
        ).fetchone()


@pytest.mark.parametrize("ended", [RIGHT, WRONG, replace(RIGHT, text=None, understood=False)])
@pytest.mark.parametrize("settled", [PAID, FAILED])
def test_the_rows_are_those_that_a_finish_alone_writes(
    pool: ConnectionPool[Any], taken: list[Claim], ended: Ended, settled: Settlement
) -> None:
    alone, *others = taken[:4]
    with pool.connection() as connection:
        assert finish_one(connection, finish_of(alone, ended, settled))
        done = finish_together(connection, [finish_of(one, ended, settled) for one in others])
        assert done == {one.token for one in others}
        expected = connection.execute(ROWS, (alone.job_id,)).fetchall()
        assert len(expected) == 1
        for one in others:
            assert connection.execute(ROWS, (one.job_id,)).fetchall() == expected


def test_a_stale_token_fails_alone_and_its_cost_is_kept(
    pool: ConnectionPool[Any], taken: list[Claim]
) -> None:
    lost, *others = taken[:5]
    with pool.connection() as connection:  # another worker has the job by now
        connection.execute("UPDATE jobs SET status = 'queued' WHERE id = %s", (lost.job_id,))
        now = claims.claim(connection, lost.job_id, uuid4(), QUEUES, "test")
        assert now is not None
    done = together(pool, [finish_of(one) for one in (*others, lost)])
    assert done == {one.token for one in others}
    with pool.connection() as connection:
        rows = connection.execute(
            "SELECT a.number, a.verdict, c.cost_usd FROM attempts a JOIN calls c"
            " ON (c.job_id, c.attempt) = (a.job_id, a.number) WHERE a.job_id = %s ORDER BY 1",
            (lost.job_id,),
        ).fetchall()
        assert rows == [(1, None, PAID.cost_usd), (2, None, None)]
    # The stale one and the one that holds the job, in one statement.
    assert together(pool, [finish_of(lost, WRONG), finish_of(now)]) == {now.token}
    with pool.connection() as connection:
        verdicts = "SELECT number, verdict FROM attempts WHERE job_id = %s ORDER BY 1"
        assert connection.execute(verdicts, (lost.job_id,)).fetchall() == [(1, None), (2, "passed")]


def test_a_job_that_is_locked_or_cancelled_keeps_no_other_one_waiting(
    pool: ConnectionPool[Any], taken: list[Claim]
) -> None:
    locked, cancelled, *others = taken[:5]
    with pool.connection() as connection:
        connection.execute(
            "UPDATE jobs SET cancel_requested_at = now() WHERE id = %s", (cancelled.job_id,)
        )
    finishes = [finish_of(one) for one in (locked, *others)]
    finishes.append(finish_of(cancelled, WRONG))
    with pool.connection() as stranger, stranger.transaction():
        stranger.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (locked.job_id,))
        with pool.connection() as connection:
            connection.execute("SET lock_timeout = 1")
            done = finish_together(connection, finishes)
            connection.execute("RESET lock_timeout")
    assert done == {one.token for one in others}
    assert status(pool, locked) == ("in_progress", None, PAID.cost_usd)
    assert status(pool, cancelled) == ("in_progress", None, PAID.cost_usd)
    with pool.connection() as connection:
        assert finish_one(connection, finish_of(locked, settled=FAILED))
    assert status(pool, locked) == ("completed", "passed", PAID.cost_usd)  # settled once


def test_an_error_ends_none_of_them(pool: ConnectionPool[Any], taken: list[Claim]) -> None:
    bad = finish_of(taken[1], replace(RIGHT, text="a\x00b"))
    with pytest.raises(psycopg.Error):
        together(pool, [finish_of(taken[0]), bad])
    odd = finish_of(taken[1], replace(RIGHT, confidence=float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        together(pool, [finish_of(taken[0]), odd])
    assert status(pool, taken[0]) == ("in_progress", None, None)


def test_finishes_beside_each_other_beside_cancels_and_twice_end_each_job_once(
    pool: ConnectionPool[Any], taken: list[Claim]
) -> None:
    start = threading.Barrier(9)
    ask_to_cancel = (
        "UPDATE jobs SET cancel_requested_at = now() WHERE id = %s AND completed_at IS NULL"
    )

    def race(number: int) -> list[UUID]:
        start.wait()
        if number == 8:
            with pool.connection() as connection:
                for claim in reversed(taken):
                    again_if_moved(partial(connection.execute, ask_to_cancel, (claim.job_id,)))
            return []
        tokens: list[UUID] = []
        order = taken[5 * number :] + taken[: 5 * number]  # each job by several of them
        for place in range(0, len(order), 5):
            tokens += together_or_alone(pool, [finish_of(one) for one in order[place : place + 5]])
        return tokens

    with ThreadPoolExecutor(9) as threads:
        all_tokens = [token for part in threads.map(race, range(9)) for token in part]
    assert sorted(all_tokens) == sorted(claim.token for claim in taken)
    with pool.connection() as connection:
        for table in ("attempts WHERE verdict = 'passed'", "answers", "jobs WHERE part = 2"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (len(taken),)
