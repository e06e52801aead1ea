"""One JSON request over HTTP with a total deadline: connections, time, size and errors.

It knows no provider; the wire formats interpret the bodies.
"""

import json
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx

from tierline.base.digits import number
from tierline.base.network.deadline_http import tls_context, within
from tierline.base.network.http_connection import HttpConnection, Origin, head_of, origin_of
from tierline.providers.credentials.tokens import Tokens
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause
from tierline.rules.circuits import MOST_RETRY_AFTER_S
from tierline_client.retry_after import retry_after_s

CONNECT_S = 5.0  # a server that takes longer to accept counts as down
IDLE_S = 60.0  # how long an idle connection is kept
ENCODINGS = frozenset({"identity", "gzip", "x-gzip"})
GZIP = 16 + zlib.MAX_WBITS  # zlib's value for gzip
UNAUTHORIZED = 401


@dataclass(frozen=True)
class Reply:
    """A complete HTTP response within the limits."""

    status: int
    headers: Mapping[str, str]  # by their names in lower case
    body: bytes
    latency_s: float
    setting: str | None = None  # the name of the setting with the server's address

    def json(self) -> Any:
        """The body as JSON. Raises CallFailed if it is not JSON."""
        try:
            return _DECODER.decode(self.body.decode())
        except (ValueError, RecursionError):
            page = self.body.lstrip()[:1] == b"<"
            reason = (
                f"the server's answer (HTTP {self.status}) is not JSON"
                + (" but a web page" if page else "")
                + (
                    f": check that {self.setting} names a model server's API"
                    if self.setting
                    else ""
                )
            )
            raise CallFailed(Cause.UNREADABLE, reason, latency_s=self.latency_s) from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


class Transport:
    """Reused connections to one server: one for each calling thread."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        max_answer_bytes: int,
        tokens: Tokens | None = None,
        setting: str | None = None,
    ) -> None:
        """`setting` is the name of the setting with the address, for messages."""
        self._tokens = tokens
        self._setting = setting
        self._base_url = base_url.rstrip("/")
        self._heads: dict[str, tuple[Origin, bytes]] = {}  # by path, up to the content's length
        self._headers = httpx.Headers(
            {
                "accept": "application/json",
                "accept-encoding": "gzip",
                "content-type": "application/json",
                "user-agent": f"tierline/{version('tierline')}",
                **headers,
            }
        )
        self._max_answer_bytes = max_answer_bytes
        self._tls: ssl.SSLContext | None = None
        self._here = threading.local()
        self._opened: list[HttpConnection] = []
        self._opening = threading.Lock()

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> Reply:
        """POST `body`; the whole answer must arrive within `timeout_s`.

        Raises CallFailed: TIMEOUT if it does not, UNREACHABLE, SERVER if the connection breaks,
        UNREADABLE if the answer is too long.
        """
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        if self._tokens is None:
            return self._exchange(lambda: self._message(path, content), timeout_s)
        ends_s = time.monotonic() + timeout_s
        token = self._tokens.get(timeout_s)
        request = self._request(path, content)
        request.headers["authorization"] = f"Bearer {token}"
        reply = self.send(request, max(0.0, ends_s - time.monotonic()))
        if reply.status == UNAUTHORIZED:
            self._tokens.forget(token)
        return reply

    def send(self, request: httpx.Request, timeout_s: float) -> Reply:
        """Send a prepared request. Raises the same as `post`."""
        return self._exchange(
            lambda: (origin_of(request.url), head_of(request) + request.content), timeout_s
        )

    def _exchange(self, message: Callable[[], tuple[Origin, bytes]], timeout_s: float) -> Reply:
        """Send what `message` makes, and read the answer."""
        started = time.monotonic()
        try:
            origin, sent = message()
            with within(timeout_s):
                answer = self._connection().ask(origin, sent, min(CONNECT_S, timeout_s))
                headers = _by_name(answer.headers)
                try:
                    content = self._read(headers, answer, started)
                finally:
                    answer.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            reason = "the server cannot be reached"
            raise self._failed(Cause.UNREACHABLE, reason, started) from None
        except httpx.TimeoutException:
            reason = f"no complete answer within {timeout_s:g} s"
            raise self._failed(Cause.TIMEOUT, reason, started) from None
        except httpx.HTTPError as error:
            reason = f"the connection to the server broke ({type(error).__name__})"
            raise self._failed(Cause.SERVER, reason, started) from None
        latency_s = time.monotonic() - started
        return Reply(answer.status, headers, content, latency_s, self._setting)

    def close(self) -> None:
        """Close every thread's connection. A thread that calls afterwards opens a new one."""
        with self._opening:
            opened, self._opened = self._opened, []
            self._here = threading.local()
        for connection in opened:
            connection.close()

    def _request(self, path: str, content: bytes) -> httpx.Request:
        url = f"{self._base_url}/{path}"
        return httpx.Request("POST", url, headers=self._headers, content=content)

    def _message(self, path: str, content: bytes) -> tuple[Origin, bytes]:
        """The server and the whole request. The head of each path is made once and reused."""
        target = self._heads.get(path)
        if target is None:
            request = self._request(path, b"")
            del request.headers["content-length"]
            head = head_of(request).removesuffix(b"\r\n")
            target = self._heads[path] = origin_of(request.url), head
        origin, head = target
        return origin, b"%bcontent-length: %d\r\n\r\n%b" % (head, len(content), content)

    def _connection(self) -> HttpConnection:
        connection: HttpConnection | None = getattr(self._here, "connection", None)
        if connection is None:
            with self._opening:
                # No proxies or other environment variables: the address of a server is a setting.
                self._tls = self._tls or tls_context()
                connection = self._here.connection = HttpConnection(self._tls, IDLE_S)
                self._opened.append(connection)
        return connection

    def _read(self, headers: Mapping[str, str], body: Iterable[bytes], started: float) -> bytes:
        """The decompressed body. A few bytes may decompress to a thousand times as many, so the
        limit applies to the decompressed size, during decompression."""
        most = self._max_answer_bytes
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ENCODINGS:
            reason = "the server's answer has a content encoding that was not requested"
            raise self._failed(Cause.UNREADABLE, reason, started)
        unpacking = None if encoding == "identity" else zlib.decompressobj(GZIP)
        chunks: list[bytes] = []
        size = 0
        for raw in body:
            try:
                chunk = raw if unpacking is None else unpacking.decompress(raw, most - size + 1)
            except zlib.error:
                reason = "the server's answer cannot be decompressed"
                raise self._failed(Cause.UNREADABLE, reason, started) from None
            size += len(chunk)
            if size > most:
                reason = f"the server's answer is longer than {most} bytes"
                raise self._failed(Cause.UNREADABLE, reason, started)
            chunks.append(chunk)
        if unpacking is not None and chunks and not unpacking.eof:
            reason = "the server's answer was cut off"
            raise self._failed(Cause.UNREADABLE, reason, started)
        return b"".join(chunks)

    @staticmethod
    def _failed(cause: Cause, reason: str, started: float) -> CallFailed:
        return CallFailed(cause, reason, latency_s=time.monotonic() - started)


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The values by their names in lower case; several of one name as one list (RFC 9110, 5.3)."""
    values: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


def requested_wait_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a provider asks for; OpenAI's retry-after-ms comes first; None: no wait."""
    try:
        wait_s: float | None = number(headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        wait_s = retry_after_s(headers.get("retry-after"))
    return None if wait_s is None else min(max(0.0, wait_s), MOST_RETRY_AFTER_S)
