"""The keys that requests come with: looking one up, and noting when keys were used."""

from collections.abc import Awaitable, Collection
from typing import Any

from psycopg_pool import AsyncConnectionPool

from tierline.storage.accounts import accounts
from tierline.storage.accounts.accounts import LiveKey
from tierline.storage.db.async_pool import again

__all__ = ["LiveKey", "find_key", "note_used"]


def find_key(pool: AsyncConnectionPool[Any], digest: bytes) -> Awaitable[LiveKey | None]:
    """The key of that digest; None when it is unknown, revoked or expired.

    Goes on through a short outage of the database, and raises its error after that.
    """
    return again(pool, lambda connection: accounts.live_key(connection, digest))


async def note_used(pool: AsyncConnectionPool[Any], key_ids: Collection[int]) -> None:
    """Keep that these keys were used, to the minute. Raises what the database says, at once."""
    async with pool.connection() as connection:
        await accounts.note_used(connection, key_ids)
