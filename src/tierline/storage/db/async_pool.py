"""The API's pool of asyncio connections, and retries after an outage."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tierline.base.settings import settings
from tierline.storage.db.clock import read_clock_async
from tierline.storage.db.engine import connect_args, psycopg_url
from tierline.storage.db.homes import read_homes_async
from tierline.storage.db.repeat import PASSING

Result = TypeVar("Result")

WAIT_S = 2.0  # for a free connection; then the caller gets 503
RECONNECT_S = 2.0  # of the pool's own tries; then each request tries at once
PATIENCE_S = 3.0  # how long a request retries during an outage of the database
FIRST_PAUSE_S = 0.05


async def _configure(connection: AsyncConnection[Any]) -> None:
    await read_clock_async(connection)
    await read_homes_async(connection)


def create_async_pool(url: str, name: str, size: int | None = None) -> AsyncConnectionPool[Any]:
    """A pool of autocommit connections; opened by its user."""
    size = size or settings().pool_size
    return AsyncConnectionPool(
        psycopg_url(url),
        kwargs={**connect_args(name), "autocommit": True},
        min_size=size,
        max_size=size,
        open=False,
        configure=_configure,
        timeout=WAIT_S,
        reconnect_timeout=RECONNECT_S,
        name=name,
    )


async def again(
    pool: AsyncConnectionPool[Any],
    statement: Callable[[AsyncConnection[Any]], Awaitable[Result]],
    patience_s: float = PATIENCE_S,
) -> Result:
    """Run `statement` on a connection of the pool, and retry it after each passing failure.

    Only for statements that are safe to repeat. The failure is raised after `patience_s` seconds; a
    full disk and a pool without a free connection are raised at once.
    """
    give_up: float | None = None
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            # `pool.connection()` would commit too, which an autocommit connection does not need.
            connection = await pool.getconn()
            try:
                return await statement(connection)
            finally:
                await pool.putconn(connection)
        except (PoolTimeout, psycopg.errors.DiskFull):
            raise
        except PASSING:
            now = time.monotonic()
            give_up = now + patience_s if give_up is None else give_up
            if now + pause_s > give_up:
                raise
        await pool.check()  # the other idle connections were most likely cut as well
        await asyncio.sleep(pause_s)
        pause_s *= 2
