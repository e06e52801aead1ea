"""A flood of wrong keys takes a few of the pool's connections, and good keys keep the others."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from api.access import keys as api_keys
from api.access.keys import STRANGERS_AT_ONCE, Keys
from api.http.problems import Refused
from tests.support.database.rows import add_account
from tests.support.waiting import wait_until
from tierline.base.errors import Unavailable
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_key
from tierline.storage.db.async_pool import create_async_pool

CONNECTIONS = 4
WITHIN_S = 20.0
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND application_name = 'tierline-flooded'"
)

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def rows(fresh_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[AsyncConnectionPool[object], Keys]]:
    pool = create_async_pool(url, "flooded", CONNECTIONS)
    await pool.open(wait=True)
    try:
        yield pool, Keys(pool, settings().limits)
    finally:
        await pool.close()


def wrong() -> str:
    return f"Bearer tl_{secrets.token_urlsafe(32)}"


async def until_waiting(rows: Connection, count: int) -> None:
    """Until so many look-ups wait for the locked table."""
    await asyncio.to_thread(
        wait_until, lambda: rows.execute(WAITING).fetchone() == (count,), WITHIN_S, "look-ups"
    )


def test_a_flood_of_wrong_keys_leaves_the_pool_to_others(
    rows: Connection, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "STRANGER_WAIT_S", WITHIN_S)

    async def flood() -> None:
        async with opened(fresh_database_url) as (pool, keys):
            with rows.transaction():
                rows.execute("LOCK TABLE api_keys")  # no look-up ends meanwhile
                tasks = [asyncio.create_task(keys.caller(wrong())) for _ in range(50)]
                await until_waiting(rows, STRANGERS_AT_ONCE)
                for _ in range(CONNECTIONS - STRANGERS_AT_ONCE):
                    async with pool.connection(timeout=WITHIN_S) as connection:
                        await connection.execute("SELECT 1")
                assert pool.get_stats()["requests_waiting"] == 0
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(answer) for answer in answers} == {Refused}

    asyncio.run(flood())


def test_a_key_that_was_good_is_not_behind_the_flood(
    rows: Connection, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_account(rows, "acme")
    good = f"Bearer {create_key(rows, 'acme', ('read',)).key}"
    monkeypatch.setattr(api_keys, "REMEMBER_S", 0.0)  # each request looks it up again

    async def flood() -> None:
        async with opened(fresh_database_url) as (_, keys):
            assert (await keys.caller(good)).scopes == {"read"}
            with rows.transaction():
                rows.execute("LOCK TABLE api_keys")
                tasks = [asyncio.create_task(keys.caller(wrong())) for _ in range(50)]
                await until_waiting(rows, STRANGERS_AT_ONCE)
                again = asyncio.create_task(keys.caller(good))
                await until_waiting(rows, STRANGERS_AT_ONCE + 1)
            assert (await again).scopes == {"read"}
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(flood())


def test_who_waits_too_long_for_the_look_up_of_an_unknown_key_is_to_come_again(
    rows: Connection, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "STRANGER_WAIT_S", 0.05)

    async def flood() -> None:
        async with opened(fresh_database_url) as (_, keys):
            with rows.transaction():
                rows.execute("LOCK TABLE api_keys")
                first = [
                    asyncio.create_task(keys.caller(wrong())) for _ in range(STRANGERS_AT_ONCE)
                ]
                await until_waiting(rows, STRANGERS_AT_ONCE)
                with pytest.raises(Unavailable):
                    await keys.caller(wrong())
            await asyncio.gather(*first, return_exceptions=True)

    asyncio.run(flood())


def test_a_wrong_key_that_comes_again_is_not_looked_up_again(
    rows: Connection, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "REMEMBER_S", 600.0)

    async def twice() -> None:
        async with opened(fresh_database_url) as (_, keys):
            key = wrong()
            with pytest.raises(Refused):
                await keys.caller(key)
            with rows.transaction():
                rows.execute("LOCK TABLE api_keys")
                async with asyncio.timeout(WITHIN_S):
                    with pytest.raises(Refused):
                        await keys.caller(key)

    asyncio.run(twice())
