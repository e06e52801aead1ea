"""Claiming and finishing on a real Postgres, under real contention."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, status_of, two_tiers
from tierline.rules.jobs import CheckFailed, JobState, Passed, Route, Status, next_state
from tierline.rules.queues import lane
from tierline.rules.verdicts import Verdict
from tierline.storage.db.engine import create_pool
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs import claims, finishes
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Ended, Settlement, Standing

ROUTE = Route(tiers=(0, 1))
QUEUES = ["slm", "deeper-analysis"]
RIGHT = Ended(Verdict.PASSED, None, 0.5, "small-1", '{"text": "hello"}', {"text": "hello"}, True)
WRONG = Ended(Verdict.SCHEMA, "text is missing", 0.5, "small-1", "{}", {}, True)
PAID = Settlement(
    1,
    "answer",
    "openai:small",
    0.4,
    "small-1",
    input_tokens=10,
    output_tokens=5,
    cost_usd=Decimal("0.001"),
)


@pytest.fixture(scope="module")
def pool(database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(database_url, "test", 16) as opened:
        yield opened


@pytest.fixture(scope="module")
def account(pool: ConnectionPool[Any]) -> int:
    with pool.connection() as connection:
        return add_account(connection, "acme")


@pytest.fixture(scope="module")
def version(pool: ConnectionPool[Any]) -> int:
    with pool.connection() as connection:
        return add_feature(connection, two_tiers())


@pytest.fixture
def job(pool: ConnectionPool[Any], account: int, version: int) -> UUID:
    with pool.connection() as connection:
        return add_job(connection, account, version)


def take(pool: ConnectionPool[Any], job: UUID, token: UUID | None = None) -> Claim | None:
    with pool.connection() as connection:
        return claims.claim(connection, job, token or uuid4(), QUEUES, "test")


def must_take(pool: ConnectionPool[Any], job: UUID) -> Claim:
    taken = take(pool, job)
    assert taken is not None
    return taken


def end(
    pool: ConnectionPool[Any], taken: Claim, ended: Ended = RIGHT, *, cancel_asked: bool = False
) -> bool:
    state = JobState(Status.IN_PROGRESS, taken.tier_index, cancel_requested=cancel_asked)
    outcome = Passed() if ended.verdict is Verdict.PASSED else CheckFailed(ended.verdict, "wrong")
    transition = next_state(state, outcome, ROUTE)
    assumed = Standing(Status.IN_PROGRESS, taken.token, cancel_asked, False, False, None)
    with pool.connection() as connection:
        return finishes.finish(
            connection,
            taken,
            tier=two_tiers().tiers[transition.job.tier_index].name,
            queue=lane(transition.job.tier_index, backfill=False),
            transition=transition,
            assumed=assumed,
            ended=ended,
            settled=PAID,
            announced=False,
        )


def one(pool: ConnectionPool[Any], statement: str, *arguments: object) -> Any:
    with pool.connection() as connection:
        row = connection.execute(statement, arguments).fetchone()
        assert row is not None
        return row if len(row) > 1 else row[0]


def test_of_many_claims_at_once_one_gets_the_job(pool: ConnectionPool[Any], job: UUID) -> None:
    start = threading.Barrier(12)

    def race(_: int) -> Claim | None:
        start.wait()
        return take(pool, job)

    with ThreadPoolExecutor(12) as threads:
        won = [taken for taken in threads.map(race, range(12)) if taken is not None]
    assert len(won) == 1
    assert one(pool, "SELECT count(*) FROM attempts WHERE job_id = %s", job) == 1
    assert one(pool, "SELECT count(*) FROM calls WHERE job_id = %s", job) == 1


def test_a_claim_repeated_with_its_token_is_the_same_claim(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    token = uuid4()
    first = take(pool, job, token)
    assert first is not None
    assert take(pool, job, token) is None
    with pool.connection() as connection:
        assert claims.claimed(connection, job, token) == first
        assert claims.claimed(connection, job, uuid4()) is None


def test_a_claim_brings_what_the_attempt_needs(pool: ConnectionPool[Any], job: UUID) -> None:
    taken = must_take(pool, job)
    assert taken.input == {"text": "hello"}
    assert (taken.attempt, taken.tier_index, taken.earlier, taken.hooked) == (1, 0, None, False)
    assert (taken.first_call.model, taken.first_call.purpose) == ("openai:small", "answer")


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "in_progress"},
        {"status": "completed"},
        {"queue": "quarantine"},
        {"run_after": "2999-01-01T00:00:00Z"},
        {"deadline_at": "2000-01-01T00:00:00Z"},
    ],
    ids=["running", "ended", "in another queue", "not due", "past its deadline"],
)
def test_a_job_that_is_not_to_be_taken_is_not(
    pool: ConnectionPool[Any], account: int, version: int, columns: dict[str, str]
) -> None:
    with pool.connection() as connection:
        job = add_job(connection, account, version, **columns)
    assert take(pool, job) is None


def test_a_finish_keeps_answer_attempt_call_and_job_together(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    assert end(pool, must_take(pool, job))
    assert one(pool, "SELECT status, model, answer_attempt FROM jobs WHERE id = %s", job) == (
        "completed",
        "small-1",
        1,
    )
    assert one(pool, "SELECT output FROM answers WHERE job_id = %s", job) == {"text": "hello"}
    assert one(pool, "SELECT verdict FROM attempts WHERE job_id = %s", job) == "passed"
    assert one(pool, "SELECT cost_usd FROM calls WHERE job_id = %s", job) == Decimal("0.001")


def test_a_finish_by_many_threads_at_once_counts_once(pool: ConnectionPool[Any], job: UUID) -> None:
    taken = must_take(pool, job)
    start = threading.Barrier(8)

    def race(_: int) -> bool:
        start.wait()
        return again_if_moved(lambda: end(pool, taken))  # as `repeat` does, which settles attempts

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(race, range(8))) == 1
    assert one(pool, "SELECT count(*) FROM answers WHERE job_id = %s", job) == 1


def test_an_answer_under_a_foreign_token_is_dropped_and_its_cost_is_kept(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    stale = must_take(pool, job)
    with pool.connection() as connection:
        connection.execute(
            "UPDATE jobs SET status = 'queued', claim_token = NULL WHERE id = %s", (job,)
        )
    fresh = must_take(pool, job)
    assert not end(pool, stale)
    assert one(pool, "SELECT count(*) FROM answers WHERE job_id = %s", job) == 0
    assert one(
        pool, "SELECT cost_usd FROM calls WHERE job_id = %s AND attempt = 1", job
    ) == Decimal("0.001")
    assert end(pool, fresh)


def test_a_finish_that_assumed_no_cancel_does_not_apply_after_one(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    taken = must_take(pool, job)
    with pool.connection() as connection:
        connection.execute(
            "UPDATE jobs SET cancel_requested_at = clock_timestamp() WHERE id = %s", (job,)
        )
        assert not end(pool, taken, WRONG)
        found = finishes.standing(connection, taken)
    assert found is not None
    assert found.cancel_requested
    assert found.verdict is None
    assert end(pool, taken, WRONG, cancel_asked=True)
    with pool.connection() as connection:
        assert status_of(connection, job) == "cancelled"


def test_an_answer_that_passed_is_kept_in_spite_of_a_cancel(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    taken = must_take(pool, job)
    with pool.connection() as connection:
        connection.execute(
            "UPDATE jobs SET cancel_requested_at = clock_timestamp() WHERE id = %s", (job,)
        )
    assert end(pool, taken)


def test_the_next_tier_is_told_what_was_wrong(pool: ConnectionPool[Any], job: UUID) -> None:
    assert end(pool, must_take(pool, job), WRONG)
    assert one(pool, "SELECT status, tier, queue FROM jobs WHERE id = %s", job) == (
        "queued",
        "frontier",
        "deeper-analysis",
    )
    second = must_take(pool, job)
    assert second.earlier is not None
    assert second.earlier.reason == "text is missing"
    assert second.earlier.text == "{}"
    assert second.first_call.model == "openai:large"


def test_each_call_is_booked_before_it_is_sent_and_settled_once(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    taken = must_take(pool, job)
    assert one(pool, "SELECT settled_at IS NULL FROM calls WHERE job_id = %s", job)
    with pool.connection() as connection:
        for _ in range(2):  # a repeat changes nothing
            finishes.settle_and_book(connection, taken, PAID, "reask", "openai:small")
        rows = connection.execute(
            "SELECT number, purpose, cost_usd FROM calls WHERE job_id = %s ORDER BY number", (job,)
        ).fetchall()
    assert rows == [(1, "answer", Decimal("0.001")), (2, "reask", None)]


def test_a_removed_job_has_no_standing(pool: ConnectionPool[Any], job: UUID) -> None:
    taken = must_take(pool, job)
    with pool.connection() as connection:
        connection.execute("DELETE FROM jobs WHERE id = %s", (job,))
        assert finishes.standing(connection, taken) is None


def test_two_claims_of_different_jobs_do_not_wait_for_each_other(
    pool: ConnectionPool[Any], account: int, version: int
) -> None:
    with pool.connection() as connection:
        first = add_job(connection, account, version)
        second = add_job(connection, account, version)
    with pool.connection() as busy, busy.transaction():
        busy.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (first,))
        assert take(pool, second) is not None


def test_a_change_of_a_live_job_writes_one_record_to_the_log(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    """No lock of the row before it, which a trigger before the update would need."""
    with pool.connection() as connection, connection.transaction(force_rollback=True):
        row = connection.execute(
            "EXPLAIN (ANALYZE, WAL, FORMAT JSON) UPDATE jobs SET status = 'in_progress',"
            f" hint_no = NULL, claim_token = '{uuid4()}' WHERE id = '{job}' AND part < 2"
        ).fetchone()
        assert row is not None
    assert row[0][0]["Plan"]["WAL Records"] == 1
