"""Who asks: Bearer keys, their scopes, and when a key was last used.

A key that was found good is remembered for REMEMBER_S, so that a busy caller costs no look-up a
request; a revoked key is refused everywhere after that long at the latest.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import psycopg
import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.problems import Refused
from api.state import State, state_of
from tierline.limits import Limits
from tierline.services.accounts import KEY_MARK, digest_of
from tierline.storage.accounts import LiveKey, live_key, note_used
from tierline.storage.async_pool import again

log = structlog.get_logger(__name__)

REMEMBER_S = 1.0
MOST_REMEMBERED = 10_000
NOTE_EVERY_S = 20.0  # last_used_at is kept to the minute
_KEY = re.compile(rf"{KEY_MARK}[A-Za-z0-9_-]{{43}}")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tierline"'}

_bearer = HTTPBearer(
    auto_error=False, scheme_name="api_key", description="An API key, such as tl_…"
)


@dataclass(frozen=True)
class Caller:
    """The account on whose behalf a request comes, and what its key may do."""

    account_id: int
    key_id: int
    scopes: frozenset[str]
    limits: Limits  # the account's own, and the settings' where it has none

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class Keys:
    """The keys lately seen. One per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], defaults: Limits) -> None:
        self._pool = pool
        self._defaults = defaults
        self._known: dict[bytes, tuple[LiveKey, float]] = {}
        self._used: set[int] = set()

    async def caller(self, authorization: str | None) -> Caller:
        """Whom the header names. Raises Refused (401)."""
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
        return Caller(found.account_id, found.id, found.scopes, found.limits)

    def forget(self) -> None:
        """Look every key up again."""
        self._known.clear()

    async def _find(self, key: str) -> LiveKey | None:
        digest = digest_of(key)
        now = time.monotonic()
        known = self._known.get(digest)
        if known is not None and known[1] > now:
            return known[0]
        found = await again(self._pool, lambda connection: live_key(connection, digest))
        if found is None:
            self._known.pop(digest, None)
            return None
        found = replace(found, limits=found.limits.over(self._defaults))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (found, now + REMEMBER_S)
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
            async with self._pool.connection() as connection:
                await note_used(connection, used)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            self._used |= used
            log.warning("key_use_not_noted", error=type(error).__name__)


async def authorise(
    state: State, request: MutableMapping[str, Any], authorization: str | None, scope: str
) -> Caller:
    """The caller, if its key reaches to `scope`; `request` is the scope in ASGI's sense.

    Raises Refused (401, 403, 429) and Unavailable.
    """
    state.health.refuse_unmigrated()
    caller = await state.keys.caller(authorization)
    state.rates.admit(caller.account_id, caller.limits, request)
    if not caller.may(scope):
        raise Refused(
            "forbidden",
            f"the key lacks the scope {scope!r}; it has {', '.join(sorted(caller.scopes))}",
        )
    return caller


def requires(scope: str) -> Callable[..., Awaitable[Caller]]:
    """A dependency that lets callers with `scope` in, and gives the Caller."""

    async def dependency(
        request: Request, _: Annotated[object, Security(_bearer)] = None
    ) -> Caller:
        authorization = request.headers.get("authorization")
        return await authorise(state_of(request), request.scope, authorization, scope)

    return dependency


Submit = Annotated[Caller, Depends(requires("submit"))]
Read = Annotated[Caller, Depends(requires("read"))]
Admin = Annotated[Caller, Depends(requires("admin"))]
