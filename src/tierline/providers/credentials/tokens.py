"""Access tokens that expire: fetched at the first call, renewed before they expire, shared by
threads.

One thread at a time fetches. While the present token is valid, the other threads use it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause

log = structlog.get_logger(__name__)

EARLY_S = 300.0  # renew a token this long before it expires
LEAST_S = 10.0  # a token must be valid for this long to be sent
MOST_BYTES = 64 * 1024  # of an answer with a token
LONGEST_S = 10.0  # limit of one fetch, within the call's own time
REFUSED_S = 5.0  # a failed fetch fails all calls for this long


@dataclass(frozen=True)
class Token:
    """A token and its lifetime."""

    value: str
    lifetime_s: float  # from now


class Tokens:
    """One identity's tokens. `fetch` gets the seconds that it may take, and raises CallFailed."""

    def __init__(self, fetch: Callable[[float], Token]) -> None:
        self._fetch = fetch
        self._fetching = threading.Lock()
        self._value: str | None = None
        self._ends_s = 0.0  # monotonic, like:
        self._failed_s = float("-inf")
        self._failure: CallFailed | None = None

    def get(self, timeout_s: float) -> str:
        """A valid token. Raises CallFailed if there is none within `timeout_s`."""
        started_s = time.monotonic()
        value, left_s = self._value, self._ends_s - started_s
        if value is not None and left_s > EARLY_S:
            return value
        usable = value is not None and left_s > LEAST_S
        if not self._fetching.acquire(timeout=0 if usable else timeout_s):
            if usable and value is not None:
                return value
            raise CallFailed(Cause.UNREACHABLE, "no access token in time")
        try:
            if self._value is not None and self._value != value:
                return self._value  # another thread renewed it
            return self._renewed(started_s, timeout_s, value if usable else None)
        finally:
            self._fetching.release()

    def forget(self, value: str) -> None:
        """Drop a token that the provider refused: the next call fetches another."""
        with self._fetching:
            if self._value == value:
                self._value = None

    def _renewed(self, started_s: float, timeout_s: float, current: str | None) -> str:
        now_s = time.monotonic()
        if self._failure is not None and now_s - self._failed_s < REFUSED_S:
            if current is not None:
                return current
            raise self._failure
        try:
            token = self._fetch(max(0.1, min(LONGEST_S, timeout_s - (now_s - started_s))))
        except CallFailed as failure:
            self._failure, self._failed_s = failure, time.monotonic()
            log.warning("token_not_renewed", cause=failure.cause.name.lower())
            if current is not None:
                return current
            raise
        self._value, self._failure = token.value, None
        self._ends_s = time.monotonic() + token.lifetime_s
        return token.value
