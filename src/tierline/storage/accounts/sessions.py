"""Sessions of the console.

A session that began with a key is found through it, so that it ends with it. One that began by
OpenID Connect is found through its person (`accounts.live_person`).
"""

from typing import Any

from psycopg import AsyncConnection

from tierline.storage.accounts.accounts import LiveKey, live_key_where

_LIVE = (
    "k.id = (SELECT s.key_id FROM console_sessions s"
    " WHERE s.digest = %s AND s.expires_at > clock_timestamp())"
    # Keys and people have numbers of one sequence. If a restore sets it back, no person's session
    # becomes a key's.
    " AND NOT EXISTS (SELECT FROM console_people p WHERE p.id = k.id)"
)


async def live_session_key(connection: AsyncConnection[Any], digest: bytes) -> LiveKey | None:
    """The key of that session, unless the session is unknown or over, or its key has ended."""
    return await live_key_where(connection, _LIVE, digest)


async def add_session(
    connection: AsyncConnection[Any], digest: bytes, key_id: int, lifetime_s: float
) -> None:
    """Store a session, and remove those that are over. Safe to repeat; waits for nobody. `key_id`:
    a key's or a person's number."""
    await connection.execute(
        "WITH expired AS ("
        " DELETE FROM console_sessions WHERE digest IN ("
        "  SELECT digest FROM console_sessions WHERE expires_at < clock_timestamp()"
        "  LIMIT 1000 FOR UPDATE SKIP LOCKED))"
        " INSERT INTO console_sessions (digest, key_id, expires_at)"
        " VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))"
        " ON CONFLICT (digest) DO NOTHING",
        (digest, key_id, lifetime_s),
    )


async def remove_session(connection: AsyncConnection[Any], digest: bytes) -> None:
    """Remove a session. Safe to repeat."""
    await connection.execute("DELETE FROM console_sessions WHERE digest = %s", (digest,))
