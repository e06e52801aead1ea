"""Sign-in by OpenID Connect in this process: how much of it may go on at once.

Strangers can ask for it, so it has bounds: requests to the identity provider at once, as look-ups
of unknown keys have, and entries of refusals in the audit log. An address that uses more than its
share (`rules/address_turns.py`) waits while half of these requests are under way, so that the other
half is left to others.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tierline.base.errors import Unavailable
from tierline.base.json_text import JSON
from tierline.openid.attempt import Attempt, begin_attempt, read_attempt, signing_key
from tierline.openid.provider import OpenIdConfig
from tierline.rules.address_turns import AddressTurns, network_of
from tierline.rules.limits import TokenBucket
from tierline.services.accounts.identity_provider import IdentityProvider

log = structlog.get_logger(__name__)

AT_ONCE = 4  # sign-ins that ask the identity provider
LEFT = 2  # of these, to addresses that use no more than their share
WAIT_S = 2.0  # for one of them to end
LOOK_S = 0.05
ENTRIES_PER_S = 1.0  # refusals of unknown people in the audit log; the others are in the log alone


class OpenIdSignIn:
    """The identity provider, and what bounds its use. One per process."""

    def __init__(self, config: OpenIdConfig) -> None:
        self.config = config
        self._provider = IdentityProvider(config)
        self._key = signing_key(config.client_secret)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0
        self._says_proxies = config.proxies == 0
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
        """A turn of the address that asks. Waiting for one is not counted as use."""
        address = self._address(request)
        own = self._of_addresses.begin(address, time.monotonic())
        used_s = 0.0
        try:
            if not own:
                await self._wait_for_room()
            async with self._shared_turn():
                began_s = time.monotonic()
                try:
                    yield
                finally:
                    used_s = time.monotonic() - began_s
        finally:
            if own:
                self._of_addresses.end(address, used_s, time.monotonic())

    def _address(self, request: Request) -> str:
        peer = "" if request.client is None else request.client.host
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        if forwarded and self._says_proxies:
            self._says_proxies = False
            log.warning(
                "openid_behind_a_proxy",
                detail="all people share one address: set TIERLINE_OIDC_PROXIES",
            )
        return network_of(peer, forwarded, self.config.proxies)

    async def _wait_for_room(self) -> None:
        """Wait until turns are free beside those that are left to others. Raises Unavailable."""
        until_s = time.monotonic() + WAIT_S
        while self._under_way >= AT_ONCE - LEFT:
            if time.monotonic() >= until_s:
                raise Unavailable(
                    "too many sign-ins come from your network: try again in a minute, or sign in"
                    " with an API key"
                )
            await asyncio.sleep(LOOK_S)

    @contextlib.asynccontextmanager
    async def _shared_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("too many people are signing in at once: try again") from None
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._turns.release()
