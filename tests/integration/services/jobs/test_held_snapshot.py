"""A snapshot that somebody holds, such as pg_dump's, keeps dead rows from being removed.

Choice, claim and finish must not read them. Counted in blocks that were touched, not by the clock.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.base.ids import new_id
from tierline.rules.jobs import JobState, Passed, Route, Status, next_state
from tierline.rules.verdicts import Verdict
from tierline.services.jobs.dispatching import memory
from tierline.services.jobs.dispatching.dispatch import Dispatch
from tierline.services.jobs.submitting import backlog
from tierline.services.jobs.submitting.backlog import Backlogs
from tierline.storage.db.async_pool import create_async_pool
from tierline.storage.db.engine import BY_INDEX, PLANNED_ONCE, create_pool
from tierline.storage.jobs import claims, finishes
from tierline.storage.jobs.finishes import Ended, Settlement, Standing
from tierline.storage.jobs.submissions import NewJob

PASSED_BY = int(os.environ.get("HELD_SNAPSHOT_JOBS", "20000"))  # jobs beside the snapshot
AT_ONCE = 1_000
MEASURED = 40  # jobs of one measurement
RIGHT = Ended(Verdict.PASSED, None, 0.5, "small-1", '{"text": "hello"}', {"text": "hello"}, True)
TOUCHED = """
SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint
FROM pg_statio_user_tables WHERE relname ~ '^(jobs|attempts|calls|queue_turns)'
"""
PASS = (  # as submissions, choices, claims and finishes do, many at once
    "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)"
    " SELECT id, %(account)s, %(version)s, 'queued', 'slm', 0, 'slm'"
    " FROM unnest(%(ids)s::uuid[]) id",
    "UPDATE jobs SET hint_no = 1 WHERE part = 1 AND id = ANY(%(ids)s)",
    "UPDATE jobs SET status = 'in_progress', hint_no = NULL WHERE part = 1 AND id = ANY(%(ids)s)",
    "UPDATE jobs SET status = 'completed', completed_at = now(), part = 2"
    " WHERE part = 1 AND id = ANY(%(ids)s)",
)


def pass_jobs(connection: Connection[Any], account: int, version: int, jobs: int) -> None:
    """So many jobs of the account are submitted, chosen, claimed and finished."""
    parameters = {"account": account, "version": version, "ids": [new_id() for _ in range(jobs)]}
    for statement in PASS:
        connection.execute(statement, parameters)


@pytest.fixture
def choosing(fresh_database_url: str) -> Iterator[Connection[Any]]:
    """A dispatcher's connection."""
    with (
        create_pool(fresh_database_url, "test", 1, PLANNED_ONCE) as pool,
        pool.connection() as connection,
    ):
        yield connection


@pytest.fixture
def worker(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 1, BY_INDEX) as opened:
        yield opened


class Road:
    """Takes jobs from their submission to their end, as the product's processes do."""

    def __init__(self, choosing: Connection[Any], worker: ConnectionPool[Any]) -> None:
        self._choosing, self._worker = choosing, worker
        self._dispatch = Dispatch(spare=4)
        assert self._dispatch.lead(choosing)
        self.account = add_account(choosing, "acme")
        self.version = add_feature(choosing, two_tiers())

    def delayed(self, jobs: int) -> None:
        """Add jobs that are not due, in one statement."""
        self._choosing.execute(
            "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,"
            " run_after) SELECT id, %s, %s, 'queued', 'slm', 0, 'slm', '2999-01-01'"
            " FROM unnest(%s::uuid[]) id",
            (self.account, self.version, [new_id() for _ in range(jobs)]),
        )
        self._choosing.execute("VACUUM ANALYZE jobs_live")

    def touched(self, jobs: int) -> dict[str, float]:
        """Blocks that a job's choice, claim and finish touched, on average."""
        with self._worker.connection() as connection:
            for _ in range(jobs):
                add_job(connection, self.account, self.version)
        counts = dict.fromkeys(("choice", "claim", "finish"), 0)
        left = jobs
        while left:
            before = self._blocks(self._choosing)
            self._dispatch.look(self._choosing)
            chosen = self._dispatch.choose_on(self._choosing, "slm", 8).queue_of
            counts["choice"] += self._blocks(self._choosing) - before
            assert chosen
            left -= len(chosen)
            with self._worker.connection() as connection:
                for job in chosen:
                    before = self._blocks(connection)
                    taken = claims.claim(connection, job, new_id(), ["slm"], "test")
                    claimed = self._blocks(connection)
                    assert taken is not None
                    assert finishes.finish(
                        connection,
                        taken,
                        tier="slm",
                        queue="slm",
                        transition=next_state(
                            JobState(Status.IN_PROGRESS, 0), Passed(), Route(tiers=(0, 1))
                        ),
                        assumed=Standing(
                            Status.IN_PROGRESS, taken.token, False, False, False, None
                        ),
                        ended=RIGHT,
                        settled=Settlement(1, "answer", "openai:small", 0.4),
                        announced=False,
                    )
                    counts["claim"] += claimed - before
                    counts["finish"] += self._blocks(connection) - claimed
        return {step: blocks / jobs for step, blocks in counts.items()}

    @staticmethod
    def _blocks(connection: Connection[Any]) -> int:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(TOUCHED).fetchone()
        assert row is not None
        return int(row[0])


def least(road: Road) -> dict[str, float]:
    """The least of three measurements of each step: autovacuum may have one planned anew."""
    rounds = [road.touched(MEASURED) for _ in range(3)]
    return {step: min(one[step] for one in rounds) for step in rounds[0]}


def test_a_held_snapshot_makes_no_job_read_more(
    choosing: Connection[Any],
    worker: ConnectionPool[Any],
    fresh_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Dead rows of the last moments are read again, which does not grow with the snapshot's age.
    monkeypatch.setattr(memory, "LATE_EVERY_S", 3600.0)
    monkeypatch.setattr(memory, "SOON_S", 0.0)
    road = Road(choosing, worker)
    # So that the indexes of live and of ended jobs are as deep before as they are beside it.
    pass_jobs(choosing, road.account, road.version, PASSED_BY // 4)
    road.delayed(PASSED_BY)
    road.touched(MEASURED)  # statements are prepared
    before = least(road)
    with psycopg.connect(fresh_database_url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT FROM accounts")
        for _ in range(PASSED_BY // AT_ONCE):
            pass_jobs(choosing, road.account, road.version, AT_ONCE)
        with worker.connection() as connection:
            connection.execute("VACUUM ANALYZE jobs_live")
        road.touched(MEASURED)  # what came due meanwhile is looked through once
        beside = least(road)
    # Pages keep the old versions of their rows, so that an update may write its indexes too: up to
    # twice as much for a finish. Reading the dead rows would be a hundred times as much.
    assert {step: beside[step] <= 2.5 * before[step] for step in before} == dict.fromkeys(
        before, True
    ), (before, beside)


def test_a_held_snapshot_makes_no_submission_within_a_limit_read_more(
    choosing: Connection[Any], fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MARK_EVERY_S", 0.0)
    monkeypatch.setattr(backlog, "MARK_S", 3600.0)
    account, version = add_account(choosing, "acme"), add_feature(choosing, two_tiers())
    pass_jobs(choosing, account, version, PASSED_BY // 4)  # so that the indexes are as deep before
    choosing.execute("VACUUM ANALYZE jobs_live")

    async def read() -> tuple[float, float]:
        async with create_async_pool(fresh_database_url, "test", 1) as pool:
            backlogs = Backlogs(pool)

            async def touched() -> float:
                """Blocks of a submission, the least of three: a page of an index may be split."""
                found = []
                for _ in range(3):
                    async with pool.connection() as connection:
                        before = await _blocks(connection)
                    new = NewJob(
                        new_id(), account, "echo", version, "slm", 0, "slm", {"text": "hello"}
                    )
                    assert (await backlogs.insert(new, 1_000)).created_at is not None
                    async with pool.connection() as connection:
                        found.append(await _blocks(connection) - before)
                return min(found)

            for _ in range(4):
                await touched()  # statements are prepared
            alone = await touched()
            with psycopg.connect(fresh_database_url) as reader:
                reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                reader.execute("SELECT FROM accounts")
                pass_jobs(choosing, account, version, PASSED_BY // 4)
                await touched()  # passes over the ended jobs once
                return alone, await touched()

    alone, beside = asyncio.run(read())
    # Each waiting job is looked up by its id, and the indexes are deeper: some blocks more, however
    # many jobs have passed.
    assert beside <= alone + 100, (alone, beside)


async def _blocks(connection: AsyncConnection[Any]) -> int:
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await (await connection.execute(TOUCHED)).fetchone()
    assert row is not None
    return int(row[0])
