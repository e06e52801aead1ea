"""What a client is made with: address, key, timeouts, retries, and the headers of every request."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from tierline_client.calls import Answer
from tierline_client.errors import Misconfigured
from tierline_client.steps import Retries

TIMEOUT_S = 60.0  # of one request; longer than the longest wait that the client asks for
CONNECT_S = 5.0
SILENCE_S = 45.0  # of a stream; the API sends a heartbeat every 15 s
MOST_STREAMS = 64  # of one client; further waits share requests
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Settings:
    """The settings of one client. Raises Misconfigured for what cannot be right."""

    base_url: str
    api_key: str = field(repr=False)
    timeout_s: float = TIMEOUT_S
    retries: Retries = field(default_factory=Retries)
    proxy: str | None = field(default=None, repr=False)
    app: str | None = None  # of the caller, for the user agent

    @classmethod
    def of(
        cls,
        base_url: str | None,
        api_key: str | None,
        *,
        timeout: float,
        retries: int,
        proxy: str | None,
        app: str | None,
        environment: Mapping[str, str] = os.environ,
    ) -> Settings:
        """From what the caller gave, else TIERLINE_URL and TIERLINE_API_KEY."""
        url = (base_url or environment.get("TIERLINE_URL", "")).rstrip("/")
        key = (api_key or environment.get("TIERLINE_API_KEY", "")).strip()
        if not url:
            raise Misconfigured("set TIERLINE_URL to the address of the API, or give base_url")
        if urlsplit(url).scheme not in ("http", "https"):
            raise Misconfigured(f"{url}: the address must begin with http:// or https://")
        if not key:
            raise Misconfigured("set TIERLINE_API_KEY, or give api_key")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise Misconfigured("the API key has invalid characters")
        if retries < 0:
            raise Misconfigured("retries must be 0 or more")
        return cls(url, key, timeout, Retries(most=retries), proxy, app)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request."""
        import platform

        agent = f"tierline-client/{own_version()} python/{platform.python_version()}"
        if self.app:
            agent = f"{agent} {self.app}"
        return {"Authorization": f"Bearer {self.api_key}", "User-Agent": agent}

    @property
    def is_local(self) -> bool:
        """Whether the API is on this machine: no proxy is used then."""
        return urlsplit(self.base_url).hostname in LOOPBACK

    def client_options(self) -> dict[str, Any]:
        """The options of an httpx client of our own."""
        import ssl

        plain = urlsplit(self.base_url).scheme == "http"
        import httpx

        return {
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=MOST_STREAMS),
            # Loading certificates takes 20 ms. Without any, no certificate would be accepted.
            "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self.is_local and plain else True,
            "trust_env": not self.is_local,
            "proxy": self.proxy,
        }


def own_version() -> str:
    """The version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tierline-client")
    except PackageNotFoundError:
        return "unknown"


@dataclass
class RawResponses:
    """The answers of the API, in order."""

    all: list[Answer] = field(default_factory=list[Answer])

    @property
    def last(self) -> Answer:
        """The newest one. Raises IndexError if there is none."""
        return self.all[-1]


_recorded: ContextVar[RawResponses | None] = ContextVar("tierline_client_recorded", default=None)


@contextmanager
def recording() -> Generator[RawResponses, None, None]:
    """Record the answers to this thread's or task's requests."""
    responses = RawResponses()
    token = _recorded.set(responses)
    try:
        yield responses
    finally:
        _recorded.reset(token)


def record(answer: Answer) -> None:
    """Note an answer, if somebody records."""
    recorded = _recorded.get()
    if recorded is not None:
        recorded.all.append(answer)
