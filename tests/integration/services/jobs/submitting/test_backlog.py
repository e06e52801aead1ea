"""An exact limit counts the same jobs from a mark on as from the beginning."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection, Connection

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.base.errors import LimitReached
from tierline.base.ids import new_id
from tierline.services.jobs.submitting import backlog
from tierline.services.jobs.submitting.backlog import Backlogs
from tierline.storage.db.async_pool import create_async_pool
from tierline.storage.db.engine import connect
from tierline.storage.jobs import backlogs
from tierline.storage.jobs.backlogs import EVERYTHING, Mark, mark_of
from tierline.storage.jobs.submissions import NewJob

LIMIT = 5


class Account:
    """An account with a limit, and its jobs."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.id = add_account(connection, "acme")
        self.version = add_feature(connection, two_tiers())

    def add(self, **columns: Any) -> UUID:
        return add_job(self.connection, self.id, self.version, **columns)

    def new(self) -> NewJob:
        return NewJob(new_id(), self.id, "echo", self.version, "slm", 0, "slm", {"text": "hello"})

    def end(self, job: UUID) -> None:
        self.connection.execute(
            "UPDATE jobs SET status = 'completed', completed_at = now(), part = 2 WHERE id = %s",
            (job,),
        )

    def change(self, job: UUID, status: str) -> None:
        self.connection.execute("UPDATE jobs SET status = %s WHERE id = %s", (status, job))


@pytest.fixture
def account(fresh_database_url: str) -> Any:
    with connect(fresh_database_url, "test") as connection:
        yield Account(connection)


def test_the_limit_holds_while_jobs_end_run_and_return(
    account: Account, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MARK_EVERY_S", 0.0)
    monkeypatch.setattr(backlogs, "MOST_OLD", 2)
    delayed = account.add(run_after="2999-01-01")
    account.add(shadow_of=delayed)

    async def live() -> None:
        async with create_async_pool(fresh_database_url, "test", 1) as pool:
            one = Backlogs(pool)
            jobs = [delayed]

            async def fill_up(room: int) -> None:
                """As many jobs as there is room for are accepted, and no more."""
                for _ in range(room):
                    new = account.new()
                    assert (await one.insert(new, LIMIT)).created_at is not None
                    jobs.append(new.job_id)
                for _ in range(2):
                    with pytest.raises(LimitReached):
                        await one.insert(account.new(), LIMIT)

            await fill_up(4)
            account.end(jobs.pop(2))
            await fill_up(1)
            for job in jobs[1:4]:
                account.change(job, "in_progress")
            await fill_up(3)
            account.change(jobs[1], "queued")  # its lease was lost: one more than the limit
            await fill_up(0)
            for job in jobs:
                account.end(job)
            jobs.clear()
            await fill_up(5)

    asyncio.run(live())


def test_a_mark_counts_what_a_count_of_everything_counts(
    account: Account, fresh_database_url: str
) -> None:
    jobs = [account.add() for _ in range(6)]
    account.end(jobs[0])
    account.end(jobs[3])
    account.change(jobs[2], "in_progress")

    async def counts() -> list[int]:
        async with await AsyncConnection.connect(fresh_database_url, autocommit=True) as one:
            mark = await backlogs.find_mark(one, account.id, EVERYTHING)
            assert mark.old == [jobs[1], jobs[2], jobs[4], jobs[5]]
            later = [account.add() for _ in range(3)]
            account.end(later[0])
            account.end(jobs[1])
            again = await backlogs.find_mark(one, account.id, mark)
            assert again.old == [jobs[2], jobs[4], jobs[5], *later[1:]]
            return [
                await backlogs.count_from_mark(one, account.id, 100, each)
                for each in (EVERYTHING, mark, again)
            ]

    assert asyncio.run(counts()) == [4, 4, 4]


def test_the_first_job_of_a_database_is_behind_a_mark_that_was_found_before(
    account: Account, fresh_database_url: str
) -> None:
    account.connection.execute("ALTER SEQUENCE jobs_seq_seq RESTART")

    async def count() -> int:
        async with await AsyncConnection.connect(fresh_database_url, autocommit=True) as one:
            mark = await backlogs.find_mark(one, account.id, EVERYTHING)
            account.add()
            return await backlogs.count_from_mark(one, account.id, 100, mark)

    assert asyncio.run(count()) == 1


def test_jobs_behind_many_old_ones_are_found_by_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlogs, "MOST_OLD", 2)
    ids = [new_id() for _ in range(3)]
    assert mark_of(9, [], []) == Mark(9, [])
    assert mark_of(9, [3, 5], ids[:2]) == Mark(9, ids[:2])
    assert mark_of(9, [3, 5, 7], ids) == Mark(5, ids[:2])
