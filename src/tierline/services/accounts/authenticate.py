"""Looking up the API keys of requests, and recording when keys were used."""

from collections.abc import Awaitable, Collection
from typing import Any

from psycopg_pool import AsyncConnectionPool

from tierline.storage.accounts import accounts
from tierline.storage.accounts.accounts import LiveKey
from tierline.storage.db.async_pool import again

__all__ = ["LiveKey", "find_key", "note_used"]


def find_key(pool: AsyncConnectionPool[Any], digest: bytes) -> Awaitable[LiveKey | None]:
    """The key with that digest, or None if it is unknown, revoked or expired.

    Retries through a short outage of the database, then raises its error.
    """
    return again(pool, lambda connection: accounts.live_key(connection, digest))


async def note_used(pool: AsyncConnectionPool[Any], key_ids: Collection[int]) -> None:
    """Record that these keys were used, to the minute. Raises a database error at once."""
    async with pool.connection() as connection:
        await accounts.note_used(connection, key_ids)
