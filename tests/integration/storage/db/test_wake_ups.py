"""Wake-ups between processes: they arrive, and none is sent inside a transaction."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from tests.support.database.notified import notifications_sent
from tierline.base.ids import new_id
from tierline.storage.db.notify import DONE, READY, Notifier, listen
from tierline.storage.db.wake_ups import ReadyNotifier

PATIENCE_S = 10.0


@pytest.fixture
def ears(database_url: str) -> Iterator[Connection[Any]]:
    with listen(database_url, "test", READY, DONE) as connection:
        yield connection


def heard(ears: Connection[Any], most: int) -> list[tuple[str, str]]:
    """(channel, payload) of the first `most` wake-ups, or fewer after PATIENCE_S seconds."""
    return [
        (one.channel, one.payload) for one in ears.notifies(timeout=PATIENCE_S, stop_after=most)
    ]


def test_a_worker_says_that_jobs_ended_and_are_ready_outside_any_transaction(
    database_url: str, ears: Connection[Any]
) -> None:
    job_id = new_id()
    with notifications_sent() as sent:
        notifier = Notifier(database_url, "test")
        notifier.start()
        notifier.ready()
        assert heard(ears, 1) == [(READY, "")]
        notifier.done(job_id)
        assert heard(ears, 1) == [(DONE, str(job_id))]
        notifier.stop()
    assert [inside for _, inside in sent] == [False, False]


def test_the_api_says_that_jobs_are_ready_outside_any_transaction(
    database_url: str, ears: Connection[Any]
) -> None:
    async def say_ready() -> list[tuple[str, str]]:
        notifier = ReadyNotifier(database_url, "test")
        running = asyncio.create_task(notifier.run())
        notifier.ready()
        found = await asyncio.to_thread(heard, ears, 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return found

    with notifications_sent() as sent:
        assert asyncio.run(say_ready()) == [(READY, "")]
    assert [inside for _, inside in sent] == [False]


def test_a_notify_inside_a_transaction_would_be_seen(database_url: str) -> None:
    with notifications_sent() as sent, psycopg.connect(database_url) as connection:
        connection.execute(f"NOTIFY {READY}")
    assert [inside for _, inside in sent] == [True]
