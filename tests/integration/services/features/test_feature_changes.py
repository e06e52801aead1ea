"""A changed feature reaches the API and the workers with its commit, without any wake-up."""

import asyncio
import json
from uuid import UUID

import psycopg
import pytest

from tests.support.database.notified import notifications_sent
from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import FEATURE, RIGHT, Bench
from tierline.services.features.apply_feature import apply_feature
from tierline.services.jobs.submitting.submission import Submission
from tierline.services.jobs.submitting.submit import Submitter
from tierline.storage.db.async_pool import create_async_pool

NAME = "amount-changes"
BEFORE = FEATURE.format(name=NAME, more="", slm="", models="[openai:small]")
AFTER = BEFORE.replace("Give the amount.", "Give the amount in full.")


async def submitted_around(url: str, account: int) -> list[UUID]:
    """Three jobs by one process that remembers the version: before a change is applied, while its
    transaction is open, and after the commit.
    """
    async with create_async_pool(url, "test", 2) as pool:
        submitter = Submitter(pool)

        async def submit() -> UUID:
            asked = Submission(NAME, {"text": "it costs 12.50"})
            return (await submitter.submit(account, asked)).job_id

        jobs = [await submit()]
        with psycopg.connect(url) as change:
            assert apply_feature(change, AFTER).changed
            jobs.append(await submit())
        jobs.append(await submit())
        return jobs


@pytest.fixture
def known(bench: Bench, database_url: str) -> None:
    with bench.pool.connection() as connection:
        apply_feature(connection, BEFORE)


def instructions_sent(bench: Bench) -> list[str]:
    """Which instructions each call to the model had."""
    return [
        "after" if "in full" in json.dumps(call.body) else "before" for call in bench.server.calls
    ]


def test_a_change_reaches_the_api_and_the_workers_with_its_commit(
    bench: Bench, known: None, database_url: str
) -> None:
    bench.server.answer = lambda _: Reply(RIGHT)
    bench.server.calls.clear()
    with notifications_sent() as sent:
        jobs = asyncio.run(submitted_around(database_url, bench.account))
        for job in jobs:
            bench.run(job)
    versions = [
        bench.one(
            "SELECT v.version FROM jobs j JOIN feature_versions v ON v.id = j.feature_version_id"
            " WHERE j.id = %s",
            job,
        )
        for job in jobs
    ]
    assert versions == [1, 1, 2]
    assert instructions_sent(bench) == ["before", "before", "after"]
    assert sent == []
