"""API keys: whose they are, cached for a moment, and when they were last used.

An accepted key is cached for REMEMBER_S, so that a busy caller needs no look-up per request. After
that time at most, a revoked key is refused everywhere. A flood of wrong keys uses only a few of the
pool's connections, and recently accepted keys do not wait behind it.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.http.problems import Refused
from tierline.base.errors import Unavailable
from tierline.rules.limits import Limits
from tierline.rules.roles import Scope, reach
from tierline.services.accounts import authenticate, sessions
from tierline.services.accounts.accounts import KEY_MARK, digest_of
from tierline.services.accounts.authenticate import LiveKey
from tierline.services.accounts.sessions import SESSION_TOKEN

Remembered = TypeVar("Remembered")
FindKey = Callable[[AsyncConnectionPool[Any], bytes], Awaitable[LiveKey | None]]

log = structlog.get_logger(__name__)

REMEMBER_S = 1.0
MOST_REMEMBERED = 10_000
STRANGERS_AT_ONCE = 2  # look-ups of keys that were not accepted recently; a pool has 8 connections
STRANGER_WAIT_S = 2.0  # the wait for a look-up, as long as for a connection of the pool
NOTE_EVERY_S = 20.0  # last_used_at is exact to the minute
_KEY = re.compile(rf"{KEY_MARK}[A-Za-z0-9_-]{{43}}")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tierline"'}


@dataclass(frozen=True)
class Caller:
    """The account that a request acts for, and what its key, or its person, may do."""

    account_id: int
    account: str  # its name
    key_id: int  # a key's number, or a person's, which is no key's
    scopes: frozenset[str]
    limits: Limits  # the account's own, and the settings' where it has none
    capped: bool  # the account has hard budgets
    person: str = ""  # the name of who signed in by OpenID Connect; empty: it is a key

    def may(self, scope: Scope) -> bool:
        return scope in reach(self.scopes)

    @property
    def confined_to(self) -> int | None:
        """The account that the key is limited to; None: it is an operator's key."""
        return None if self.may("operator") else self.account_id


class Keys:
    """The recently used keys. One per process."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], defaults: Limits, issuer: str | None = None
    ) -> None:
        """`issuer`: the identity provider whose people may have sessions."""
        self._pool = pool
        self._defaults = defaults
        self._issuer = issuer
        self._known: dict[bytes, tuple[Caller, float]] = {}  # with the time of the next look-up
        self._wrong: dict[bytes, float] = {}  # until when
        self._strangers = asyncio.Semaphore(STRANGERS_AT_ONCE)
        self._used: set[int] = set()

    async def caller(self, authorization: str | None) -> Caller:
        """The header's caller. Raises Refused (401), and Unavailable in a flood of wrong keys."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Refused(
                "unauthorized", "send the header 'Authorization: Bearer KEY'", headers=_CHALLENGE
            )
        caller = await self.of_key(key)
        if caller is None:
            raise Refused(
                "unauthorized",
                "the API key is unknown, expired or revoked",
                headers={
                    "WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'
                },
            )
        self._used.add(caller.key_id)
        return caller

    def forget(self) -> None:
        """Clear the cache."""
        self._known.clear()
        self._wrong.clear()

    async def of_key(self, key: str) -> Caller | None:
        """The caller of a key; None: it is unknown, expired or revoked. Raises Unavailable in a
        flood of wrong keys."""
        if not _KEY.fullmatch(key):
            return None
        return await self._find(digest_of(key), authenticate.find_key)

    async def of_session(self, token: str) -> Caller | None:
        """The same for the token of a session of the console. A session ends with its key, if it
        began with one."""
        if not SESSION_TOKEN.fullmatch(token):
            return None
        caller = await self._find(
            digest_of(token), lambda pool, digest: sessions.find_key(pool, digest, self._issuer)
        )
        if caller is not None and not caller.person:
            self._used.add(caller.key_id)
        return caller

    def forget_session(self, token: str) -> None:
        """Look the session up again the next time."""
        self._known.pop(digest_of(token), None)

    async def _find(self, digest: bytes, find: FindKey) -> Caller | None:
        now = time.monotonic()
        cached = self._known.get(digest)
        if cached is not None:
            return cached[0] if cached[1] > now else await self._look_up(digest, find)
        if self._wrong.get(digest, now) > now:
            return None
        try:
            async with asyncio.timeout(STRANGER_WAIT_S):
                await self._strangers.acquire()
        except TimeoutError:
            raise Unavailable("too many unknown API keys are being looked up") from None
        try:
            return await self._look_up(digest, find)
        finally:
            self._strangers.release()

    async def _look_up(self, digest: bytes, find: FindKey) -> Caller | None:
        live = await find(self._pool, digest)
        until_s = time.monotonic() + REMEMBER_S
        if live is None:
            self._known.pop(digest, None)
            _remember(self._wrong, digest, until_s)
            return None
        caller = self._caller_of(live)
        _remember(self._known, digest, (caller, until_s))
        return caller

    def _caller_of(self, live: LiveKey) -> Caller:
        limits = live.limits.over(self._defaults)
        return Caller(
            live.account_id,
            live.account,
            live.id,
            live.scopes,
            limits,
            live.capped,
            live.person,
        )

    async def run(self) -> None:
        """Record when keys were used, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self.note()

    async def note(self) -> None:
        """Store the keys used since the last time."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            await authenticate.note_used(self._pool, used)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            self._used |= used
            log.warning("key_use_not_noted", error=type(error).__name__)


def _remember(memory: dict[bytes, Remembered], digest: bytes, what: Remembered) -> None:
    if len(memory) >= MOST_REMEMBERED:
        memory.clear()
    memory[digest] = what
