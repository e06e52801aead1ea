"""Sessions of the console: they begin with an API key, and end with it or after a time; or with a
person who signs in by OpenID Connect (`people.py`), and end after a time.

The token is shown to the browser alone; only its digest is stored.
"""

import re
import secrets
from typing import Any

from psycopg_pool import AsyncConnectionPool

from tierline.services.accounts.accounts import digest_of
from tierline.storage.accounts import sessions
from tierline.storage.accounts.accounts import LiveKey, live_person
from tierline.storage.db.async_pool import again

Pool = AsyncConnectionPool[Any]

SESSION_S = 12 * 3600.0  # a working day; then the person signs in again
TOKEN_MARK = "tls_"  # noqa: S105 - not a secret: a leaked token is recognised by it
SESSION_TOKEN = re.compile(rf"{TOKEN_MARK}[A-Za-z0-9_-]{{43}}")


def new_token() -> str:
    """A token for a session."""
    return TOKEN_MARK + secrets.token_urlsafe(32)


async def begin_session(pool: Pool, key_id: int) -> str:
    """A new session of a key; its token, which cannot be read again."""
    token = new_token()
    digest = digest_of(token)
    await again(pool, lambda c: sessions.add_session(c, digest, key_id, SESSION_S))
    return token


async def end_session(pool: Pool, token: str) -> None:
    """End a session. Safe to repeat."""
    digest = digest_of(token)
    await again(pool, lambda c: sessions.remove_session(c, digest))


async def find_key(pool: Pool, digest: bytes, issuer: str | None = None) -> LiveKey | None:
    """Who a session acts as: its key, or its person if they are of the identity provider `issuer`.
    None if the session is unknown or over, or its key has ended.
    """
    key = await again(pool, lambda connection: sessions.live_session_key(connection, digest))
    if key is None and issuer is not None:
        key = await again(pool, lambda connection: live_person(connection, digest, issuer))
    return key
