"""Sign-in by OpenID Connect in this process: how much of it may go on at once.

Strangers can ask for it, so it has bounds: requests to the identity provider at once, as look-ups
of unknown keys have, and of these those of one network address (`rules/address_turns.py`); and
entries of refusals in the audit log.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tierline.base.errors import Unavailable
from tierline.base.json_text import JSON
from tierline.openid.attempt import Attempt, begin_attempt, read_attempt, signing_key
from tierline.openid.provider import OpenIdConfig
from tierline.rules.address_turns import AddressTurns, network_of
from tierline.rules.limits import TokenBucket
from tierline.services.accounts.identity_provider import IdentityProvider

AT_ONCE = 4  # sign-ins that ask the identity provider
WAIT_S = 2.0  # for one of them to end
ENTRIES_PER_S = 1.0  # refusals of unknown people in the audit log; the others are in the log alone


class OpenIdSignIn:
    """The identity provider, and what bounds its use. One per process."""

    def __init__(self, config: OpenIdConfig) -> None:
        self.config = config
        self._provider = IdentityProvider(config)
        self._key = signing_key(config.client_secret)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._of_addresses = AddressTurns()
        self._entries = TokenBucket(ENTRIES_PER_S, time.monotonic())

    @classmethod
    def of(cls, config: OpenIdConfig | None) -> "OpenIdSignIn | None":
        """That of the settings; None: it is not configured."""
        return None if config is None else cls(config)

    def close(self) -> None:
        """Close the connections to the provider."""
        self._provider.close()

    def begin(self, then: str) -> Attempt:
        """A new sign-in, which goes on to the path `then`."""
        return begin_attempt(self._key, time.time(), then)

    def read(self, cookie: str, state: str) -> Attempt | None:
        """The sign-in of a cookie, if the state belongs to it; None: there is none, or it is too
        old."""
        attempt = read_attempt(cookie, self._key, time.time())
        return attempt if attempt is not None and attempt.state == state else None

    async def authorization_url(self, request: Request, attempt: Attempt) -> str:
        """Where the browser goes. Raises ProviderFailed, Unavailable."""
        async with self._turn(request):
            return await run_in_threadpool(self._provider.authorization_url, attempt)

    async def redeem(
        self, request: Request, attempt: Attempt, code: str, issuer: str | None
    ) -> Mapping[str, JSON]:
        """The person's verified claims. Raises SignInRefused, Unavailable."""
        async with self._turn(request):
            return await run_in_threadpool(self._provider.redeem, attempt, code, issuer)

    def may_log(self) -> bool:
        """Whether another refusal of an unknown person may be an entry of the audit log."""
        if self._entries.wait_s(ENTRIES_PER_S, time.monotonic()):
            return False
        self._entries.take(1)
        return True

    @contextlib.asynccontextmanager
    async def _turn(self, request: Request) -> AsyncIterator[None]:
        """A turn of the address that asks. Waiting for one counts as well."""
        peer = "" if request.client is None else request.client.host
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        address = network_of(peer, forwarded, self.config.proxies)
        began_s = time.monotonic()
        if not self._of_addresses.begin(address, began_s):
            raise Unavailable(
                "too many sign-ins come from your network: try again in a minute, or sign in with"
                " an API key"
            )
        try:
            async with self._shared_turn():
                yield
        finally:
            now_s = time.monotonic()
            self._of_addresses.end(address, now_s - began_s, now_s)

    @contextlib.asynccontextmanager
    async def _shared_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("too many people are signing in at once: try again") from None
        try:
            yield
        finally:
            self._turns.release()
