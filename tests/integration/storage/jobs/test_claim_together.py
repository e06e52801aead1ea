"""Claims of several jobs in one statement, on a real Postgres and under real contention."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, status_of, two_tiers
from tierline.storage.db.engine import BY_INDEX, create_pool
from tierline.storage.jobs import claims
from tierline.storage.jobs.claim_together import claim_together
from tierline.storage.jobs.claims import Claim

QUEUES = ["slm", "slm-backfill"]


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 12, BY_INDEX) as opened:
        yield opened


@pytest.fixture
def jobs(pool: ConnectionPool[Any]) -> list[UUID]:
    with pool.connection() as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        return [
            add_job(connection, account, version, input={"text": str(number)}, backfill=number > 20)
            for number in range(40)
        ]


def take(pool: ConnectionPool[Any], jobs: list[UUID]) -> dict[UUID, Claim]:
    """The claims of these jobs, by token."""
    with pool.connection() as connection:
        return claim_together(connection, [(job, uuid4()) for job in jobs], QUEUES, "test")


def test_each_job_is_claimed_under_its_own_token_with_what_its_attempt_needs(
    pool: ConnectionPool[Any], jobs: list[UUID]
) -> None:
    job_of_token = {uuid4(): job for job in jobs[18:24]}
    with pool.connection() as connection:
        taken = claim_together(
            connection, [(job, token) for token, job in job_of_token.items()], QUEUES, "test"
        )
        assert {token: claim.job_id for token, claim in taken.items()} == job_of_token
        for token, claim in taken.items():
            number = jobs.index(claim.job_id)
            assert claim.token == token
            assert (claim.input, claim.backfill) == ({"text": str(number)}, number > 20)
            # The same as the claim of one job is, in everything but its age.
            assert claims.claimed(connection, claim.job_id, token) == claim
        rows = connection.execute(
            "SELECT a.claim_token, c.number FROM attempts a JOIN calls c"
            " ON (c.job_id, c.attempt) = (a.job_id, a.number)"
        ).fetchall()
    assert sorted(rows) == sorted((token, 1) for token in job_of_token)


def test_of_many_claims_of_the_same_jobs_at_once_each_job_is_claimed_once(
    pool: ConnectionPool[Any], jobs: list[UUID]
) -> None:
    start = threading.Barrier(10)

    def race(number: int) -> list[Claim]:
        order = list(jobs)
        random.Random(number).shuffle(order)
        own: list[Claim] = []
        start.wait()
        for place in range(0, len(order), 5):
            own += take(pool, order[place : place + 5]).values()
            if number % 2:  # beside claims of one job
                with pool.connection() as connection:
                    one = claims.claim(connection, order[place], uuid4(), QUEUES, "test")
                own += [] if one is None else [one]
        return own

    with ThreadPoolExecutor(10) as threads:
        all_claims = [claim for part in threads.map(race, range(10)) for claim in part]
    assert Counter(claim.job_id for claim in all_claims) == Counter(jobs)
    with pool.connection() as connection:
        rows = dict(connection.execute("SELECT id, claim_token FROM jobs").fetchall())
        assert rows == {claim.job_id: claim.token for claim in all_claims}
        for table in ("attempts", "calls"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (len(jobs),)


def test_a_job_that_is_wanted_twice_is_given_once(
    pool: ConnectionPool[Any], jobs: list[UUID]
) -> None:
    taken = take(pool, [jobs[0], jobs[1], jobs[0]])
    assert sorted(claim.job_id for claim in taken.values()) == jobs[:2]
    assert all(claim.token == token for token, claim in taken.items())


def test_a_job_that_is_locked_or_cannot_be_claimed_keeps_no_other_one_waiting(
    pool: ConnectionPool[Any], jobs: list[UUID]
) -> None:
    locked, later, ended, *free = jobs[:6]
    with pool.connection() as stranger, stranger.transaction():
        stranger.execute(
            "UPDATE jobs SET run_after = now() + interval '1 hour' WHERE id = %s", (later,)
        )
        with pool.connection() as other:
            claims.claim(other, ended, uuid4(), QUEUES, "test")
        stranger.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (locked,))
        with pool.connection() as connection:
            connection.execute("SET lock_timeout = 1")
            taken = claim_together(connection, [(job, uuid4()) for job in jobs[:6]], QUEUES, "test")
            connection.execute("RESET lock_timeout")
    assert {claim.job_id for claim in taken.values()} == set(free)


def test_an_error_claims_none_of_them(pool: ConnectionPool[Any], jobs: list[UUID]) -> None:
    """Of a version of a later release, which names no first call for this tier."""
    with pool.connection() as connection:
        later = add_feature(connection, two_tiers("later"))
        connection.execute("UPDATE feature_versions SET first_calls = '{}' WHERE id = %s", (later,))
        connection.execute(
            "UPDATE jobs SET feature_version_id = %s WHERE id = %s", (later, jobs[1])
        )
    with pytest.raises(psycopg.IntegrityError):
        take(pool, jobs[:3])
    with pool.connection() as connection:
        assert {status_of(connection, job) for job in jobs[:3]} == {"queued"}
