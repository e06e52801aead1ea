"""Live jobs apart from ended ones: which partition of `jobs` holds a job, also under contention."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg_pool import ConnectionPool

from tests.support.database.migrations import upgrade_to
from tests.support.database.rows import add_account, add_feature, add_job, status_of, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.rules.jobs import JobState, Passed, Route, Status, next_state
from tierline.rules.verdicts import Verdict
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.running.recover import expire_overdue, recover_lost
from tierline.services.upkeep.sweep import move_jobs
from tierline.storage.db import migrate, revisions
from tierline.storage.db.engine import BY_INDEX, PLANNED_ONCE, create_pool
from tierline.storage.db.homes import at_home
from tierline.storage.db.repeat import repeat
from tierline.storage.jobs import claims, finishes, hints
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Ended, Settlement, Standing

QUEUES = ["slm", "deeper-analysis"]
RIGHT = Ended(Verdict.PASSED, None, 0.5, "small-1", '{"text": "hello"}', {"text": "hello"}, True)
PAID = Settlement(1, "answer", "openai:small", 0.4)
BEFORE = revisions.before("0037")
WAITS = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'tierline-waiter'
    AND wait_event_type = 'Lock'
"""


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 4) as opened:
        yield opened


@pytest.fixture
def waiter(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    """Connections of whoever waits for a lock."""
    with create_pool(fresh_database_url, "waiter", 4) as opened:
        yield opened


@pytest.fixture
def account(pool: ConnectionPool[Any]) -> int:
    with pool.connection() as connection:
        return add_account(connection, "acme")


@pytest.fixture
def job(pool: ConnectionPool[Any], account: int) -> UUID:
    with pool.connection() as connection:
        return add_job(connection, account, add_feature(connection, two_tiers()))


def part_of(connection: Connection[Any], job: UUID) -> str:
    """The partition that holds the job."""
    row = connection.execute("SELECT tableoid::regclass::text FROM jobs WHERE id = %s", (job,))
    (name,) = row.fetchone() or ("",)
    return str(name)


def take(connection: Connection[Any], job: UUID) -> Claim:
    taken = claims.claim(connection, job, new_id(), QUEUES, "test")
    assert taken is not None
    return taken


def finish(connection: Connection[Any], taken: Claim) -> bool:
    return finishes.finish(
        connection,
        taken,
        tier="slm",
        queue="slm",
        transition=next_state(JobState(Status.IN_PROGRESS, 0), Passed(), Route(tiers=(0, 1))),
        assumed=Standing(Status.IN_PROGRESS, taken.token, False, False, False, None),
        ended=RIGHT,
        settled=PAID,
        announced=False,
    )


def test_a_job_moves_to_the_week_of_its_id_when_it_ends(
    pool: ConnectionPool[Any], job: UUID
) -> None:
    with pool.connection() as connection:
        assert part_of(connection, job) == "jobs_live"
        taken = take(connection, job)
        assert part_of(connection, job) == "jobs_live"
        assert finish(connection, taken)
        assert part_of(connection, job).startswith("jobs_ended_2")


def test_a_job_that_is_cancelled_or_expires_moves_too(
    pool: ConnectionPool[Any], account: int, job: UUID
) -> None:
    with pool.connection() as connection:
        assert cancel(connection, account, job) is Status.CANCELLED
        version = add_feature(connection, two_tiers("other"))
        late = add_job(connection, account, version, deadline_at="2020-01-01T00:00:00Z")
        assert expire_overdue(pool) == [late]
        assert part_of(connection, job) == part_of(connection, late)
        assert part_of(connection, job).startswith("jobs_ended_2")


def _cancel(waiter: ConnectionPool[Any], account: int, taken: Claim) -> object:
    with waiter.connection() as connection:
        return cancel(connection, account, taken.job_id)


def _finish(waiter: ConnectionPool[Any], _: int, taken: Claim) -> object:
    return repeat(waiter, lambda connection: finish(connection, taken), keep_on=lambda: True)


@pytest.mark.parametrize(("late", "result"), [(_cancel, Status.COMPLETED), (_finish, False)])
def test_whoever_waits_for_a_job_that_ends_meanwhile_finds_it_ended(
    pool: ConnectionPool[Any],
    waiter: ConnectionPool[Any],
    account: int,
    job: UUID,
    late: Callable[[ConnectionPool[Any], int, Claim], object],
    result: object,
) -> None:
    """Postgres does not follow a row to another partition; it fails with 40001."""
    with pool.connection() as connection, ThreadPoolExecutor(1) as aside:
        taken = take(connection, job)
        with connection.transaction():
            assert finish(connection, taken)
            waiting = aside.submit(late, waiter, account, taken)
            with pool.connection() as other:
                wait_until(
                    lambda: other.execute(WAITS).fetchone() is not None, DEADLINE_S, "a wait"
                )
        assert waiting.result(DEADLINE_S) == result
        assert status_of(connection, job) == "completed"
        answers = connection.execute("SELECT count(*) FROM answers WHERE job_id = %s", (job,))
        assert answers.fetchone() == (1,)


def test_a_finish_that_waits_for_a_recovery_that_ends_the_job_is_dropped(
    pool: ConnectionPool[Any], waiter: ConnectionPool[Any], job: UUID
) -> None:
    with pool.connection() as connection, ThreadPoolExecutor(1) as aside:
        taken = take(connection, job)
        with connection.transaction():
            connection.execute(
                "UPDATE jobs SET status = 'failed', completed_at = now(), claim_token = NULL,"
                " part = 2 WHERE id = %s AND part < 2",
                (job,),
            )
            waiting = aside.submit(_finish, waiter, 0, taken)
            with pool.connection() as other:
                wait_until(
                    lambda: other.execute(WAITS).fetchone() is not None, DEADLINE_S, "a wait"
                )
        assert waiting.result(DEADLINE_S) is False
        assert status_of(connection, job) == "failed"


def test_recovery_and_expiry_leave_a_job_that_ends_meanwhile(
    pool: ConnectionPool[Any], account: int, job: UUID
) -> None:
    """In many rounds at once: each job ends once, whoever ends it."""
    with pool.connection() as connection:
        version = add_feature(connection, two_tiers("other"))
        for _ in range(20):
            one = add_job(connection, account, version)
            taken = take(connection, one)
            with ThreadPoolExecutor(4) as threads:
                ends = [
                    threads.submit(_finish, pool, account, taken),
                    threads.submit(recover_lost, pool, {taken.token: one}),
                    threads.submit(_cancel, pool, account, taken),
                    threads.submit(expire_overdue, pool),
                ]
                for end in ends:
                    end.result(DEADLINE_S)
            row = connection.execute("SELECT status, part FROM jobs WHERE id = %s", (one,))
            assert row.fetchall() in (
                [("completed", 2)],
                [("cancelled", 2)],
                [("queued", 1)],  # its lease was lost first
                [("in_progress", 1)],  # the cancel's request won against the assumed state
            )


def test_jobs_of_before_the_upgrade_go_on_and_leave_their_table(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        ended = add_job(
            connection, account, version, status="completed", completed_at="2026-01-01T00:00:00Z"
        )
        running, waiting, chosen = (add_job(connection, account, version) for _ in range(3))
        token = new_id()
        connection.execute(
            "UPDATE jobs SET status = 'in_progress', claim_token = %s, attempts = 1 WHERE id = %s",
            (token, running),
        )
        connection.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker)"
            " VALUES (%s, 1, %s, 'slm', 'slm', 'test')",
            (running, token),
        )
        last = connection.execute("SELECT max(seq) FROM jobs").fetchone()
        migrate.upgrade(empty_database_url)

        new = add_job(connection, account, version)  # as a process of the release before does it
        assert part_of(connection, new) == "jobs_live"
        first = connection.execute("SELECT seq FROM jobs WHERE id = %s", (new,)).fetchone()
        assert first is not None
        assert last is not None
        assert first[0] > last[0]

        taken = claims.claimed(connection, running, token)
        assert taken is not None
        assert finish(connection, taken)
        assert finish(connection, take(connection, chosen))
        # A process of the release before ends a job where it stands.
        connection.execute(
            "UPDATE jobs SET status = 'cancelled', completed_at = now() WHERE id = %s", (new,)
        )
        with create_pool(empty_database_url, "test", 2) as pool:
            move_jobs(pool, float("inf"))
        assert part_of(connection, waiting) == "jobs_live"
        assert part_of(connection, ended) == "jobs_before"
        for job in (running, chosen, new):
            assert part_of(connection, job).startswith("jobs_ended_")
        assert finish(connection, take(connection, waiting))


def test_a_table_that_somebody_reads_is_divided_after_the_reader_has_ended(
    empty_database_url: str,
) -> None:
    upgrade_to(empty_database_url, BEFORE)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        job = add_job(connection, account, version)
        with ThreadPoolExecutor(1) as aside, psycopg.connect(empty_database_url) as reader:
            reader.execute("SELECT FROM jobs")  # as pg_dump, it holds its lock to its end
            messages: list[str] = []
            upgraded = aside.submit(migrate.upgrade, empty_database_url, messages.append)
            wait_until(lambda: any("lock on jobs" in one for one in messages), DEADLINE_S, "a wait")
            # Nobody waits behind the migration for long.
            connection.execute("UPDATE jobs SET status = 'in_progress' WHERE id = %s", (job,))
            reader.rollback()
            assert upgraded.result(DEADLINE_S) == (BEFORE, revisions.head())
        assert status_of(connection, job) == "in_progress"


@pytest.mark.parametrize("session", [BY_INDEX, PLANNED_ONCE], ids=["worker", "dispatcher"])
def test_claims_and_finishes_read_live_jobs_alone(fresh_database_url: str, session: str) -> None:
    """Beside a long history, by the primary key, in one statement each."""
    with psycopg.connect(fresh_database_url, autocommit=True, options=session) as connection:
        account, version = add_account(connection, "acme"), add_feature(connection, two_tiers())
        connection.execute(
            "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
            " completed_at, part) SELECT id, %s, %s, 'completed', 'slm', 0, 'slm', now(), 2"
            " FROM unnest(%s::uuid[]) id",
            (account, version, [new_id() for _ in range(20_000)]),
        )
        connection.execute("VACUUM ANALYZE jobs")  # plans are made while nothing waits
        job = add_job(connection, account, version)
        plans: list[str] = []
        real = connection.execute

        def explained(statement: str, parameters: dict[str, Any]) -> Any:
            rows = real(sql.SQL("EXPLAIN (ANALYZE, BUFFERS) ") + sql.SQL(statement), parameters)
            plans.append("\n".join(line for (line,) in rows))

        explained(
            at_home(connection, claims.CLAIM_AND_READ, job),
            {
                "job_id": job,
                "token": new_id(),
                "queues": QUEUES,
                "worker": "test",
                "in_progress": "in_progress",
            },
        )
        row = real("SELECT claim_token FROM jobs WHERE id = %s", (job,)).fetchone()
        assert row is not None
        taken = claims.claimed(connection, job, row[0])
        assert taken is not None
        with pytest.MonkeyPatch.context() as patch:
            cursor = type("Explained", (), {"fetchone": lambda self: (1,)})
            patch.setattr(
                connection,
                "execute",
                lambda s, p, **_: explained(s, p) or cursor(),
                raising=False,
            )
            finish(connection, taken)
        assert len(plans) == 2
        for plan in plans:
            assert "jobs_live_pkey" in plan
            assert "on jobs_ended" not in plan
            assert "Seq Scan on jobs" not in plan
        assert part_of(connection, job).startswith("jobs_ended_2")


def test_hints_and_claims_write_to_no_index_of_live_jobs(
    fresh_database_url: str, account: int, pool: ConnectionPool[Any]
) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        version = add_feature(connection, two_tiers())
        jobs = [add_job(connection, account, version) for _ in range(200)]
        assert len(hints.mark(connection, jobs)) == 200
        for job in jobs:
            take(connection, job)
        connection.execute("SELECT pg_stat_force_next_flush()")
        counts = connection.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs_live'"
        )
        assert counts.fetchone() == (400, 400)
