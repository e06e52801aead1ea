"""The API keys: whom one stands for, remembered for a moment, and when it was last used.

A key that was found good is remembered for REMEMBER_S, so that a busy caller costs no look-up a
request; a revoked key is refused everywhere after that long at the latest. Who floods with wrong
keys takes a few of the pool's connections, and a key that was good is not behind them.
"""

import asyncio
import re
import time
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.problems import Refused
from tierline.base.errors import Unavailable
from tierline.rules.limits import Limits
from tierline.rules.roles import Scope, reach
from tierline.services.accounts import authenticate
from tierline.services.accounts.accounts import KEY_MARK, digest_of
from tierline.services.accounts.authenticate import LiveKey

Remembered = TypeVar("Remembered")

log = structlog.get_logger(__name__)

REMEMBER_S = 1.0
MOST_REMEMBERED = 10_000
STRANGERS_AT_ONCE = 2  # look-ups of keys that were not good lately; a pool has 8 connections
STRANGER_WAIT_S = 2.0  # for one's turn, as long as for a connection of the pool
NOTE_EVERY_S = 20.0  # last_used_at is kept to the minute
_KEY = re.compile(rf"{KEY_MARK}[A-Za-z0-9_-]{{43}}")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tierline"'}


@dataclass(frozen=True)
class Caller:
    """The account on whose behalf a request comes, and what its key may do."""

    account_id: int
    account: str  # its name
    key_id: int
    scopes: frozenset[str]
    limits: Limits  # the account's own, and the settings' where it has none
    capped: bool  # the account has hard budgets

    def may(self, scope: Scope) -> bool:
        return scope in reach(self.scopes)

    @property
    def confined_to(self) -> int | None:
        """The account beyond which the key has no say; None: it is an operator's."""
        return None if self.may("operator") else self.account_id


class Keys:
    """The keys lately seen. One per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], defaults: Limits) -> None:
        self._pool = pool
        self._defaults = defaults
        self._known: dict[bytes, tuple[LiveKey, float]] = {}  # and until when it need not be asked
        self._wrong: dict[bytes, float] = {}  # until when
        self._strangers = asyncio.Semaphore(STRANGERS_AT_ONCE)
        self._used: set[int] = set()

    async def caller(self, authorization: str | None) -> Caller:
        """Whom the header names. Raises Refused (401), and Unavailable in a flood of wrong keys."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Refused(
                "unauthorized", "send the header 'Authorization: Bearer KEY'", headers=_CHALLENGE
            )
        found = await self._find(key) if _KEY.fullmatch(key) else None
        if found is None:
            raise Refused(
                "unauthorized",
                "the API key is unknown, expired or revoked",
                headers={
                    "WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'
                },
            )
        self._used.add(found.id)
        return Caller(
            found.account_id, found.account, found.id, found.scopes, found.limits, found.capped
        )

    def forget(self) -> None:
        """Look every key up again."""
        self._known.clear()
        self._wrong.clear()

    async def _find(self, key: str) -> LiveKey | None:
        digest = digest_of(key)
        now = time.monotonic()
        known = self._known.get(digest)
        if known is not None:
            return known[0] if known[1] > now else await self._look_up(digest)
        if self._wrong.get(digest, now) > now:
            return None
        try:
            async with asyncio.timeout(STRANGER_WAIT_S):
                await self._strangers.acquire()
        except TimeoutError:
            raise Unavailable("too many unknown API keys are being looked up") from None
        try:
            return await self._look_up(digest)
        finally:
            self._strangers.release()

    async def _look_up(self, digest: bytes) -> LiveKey | None:
        found = await authenticate.find_key(self._pool, digest)
        until_s = time.monotonic() + REMEMBER_S
        if found is None:
            self._known.pop(digest, None)
            _remember(self._wrong, digest, until_s)
            return None
        found = replace(found, limits=found.limits.over(self._defaults))
        _remember(self._known, digest, (found, until_s))
        return found

    async def run(self) -> None:
        """Keep when keys were used, until cancelled."""
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self.note()

    async def note(self) -> None:
        """Write down the keys used since the last time."""
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
