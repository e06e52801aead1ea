"""A process whose clock is wrong makes ids of the time of Postgres, through each kind of pool."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from tierline.base import ids
from tierline.base.ids import new_id, time_of
from tierline.storage.db.async_pool import create_async_pool
from tierline.storage.db.engine import create_pool

WRONG = timedelta(days=40)  # beyond the partitions that are made ahead
SOON = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def _wrong_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this process is 40 days ahead, and it has not asked Postgres yet."""
    right = time.time_ns
    monkeypatch.setattr(ids, "clock", ids.Clock())
    monkeypatch.setattr(
        ids.time, "time_ns", lambda: right() + WRONG // timedelta(microseconds=1) * 1000
    )
    assert time_of(new_id()) > datetime.now(UTC) + WRONG - SOON


def test_a_pool_of_a_worker_measures_the_clock(database_url: str) -> None:
    with create_pool(database_url, "test") as pool, pool.connection():
        assert abs(time_of(new_id()) - datetime.now(UTC)) < SOON


def test_a_pool_of_the_api_measures_the_clock(database_url: str) -> None:
    async def made() -> datetime:
        async with create_async_pool(database_url, "test", 1) as pool, pool.connection():
            return time_of(new_id())

    assert abs(asyncio.run(made()) - datetime.now(UTC)) < SOON
