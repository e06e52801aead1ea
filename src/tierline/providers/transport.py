"""One JSON request over HTTP with a deadline that is total: connections, time, size and errors.

Knows no provider: what a body means is the wire format's business.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from tierline.deadline_http import DeadlineTransport, within
from tierline.providers.types import CallFailed
from tierline.verdicts import Verdict

CONNECT_S = 5.0  # a server that takes longer to accept is as good as down
MOST_CONNECTIONS = 256  # above any worker's threads: the pool never makes a call wait
KEEPALIVE_S = 60.0
MOST_RETRY_AFTER_S = 3600.0  # a provider that asks for more is asked again after an hour


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, whole and inside its limits."""

    status: int
    headers: httpx.Headers
    body: bytes
    latency_s: float

    def json(self) -> Any:
        """The body as JSON. Raises CallFailed when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise CallFailed(
                Verdict.PROVIDER_ERROR,
                f"the server's answer (HTTP {self.status}) is not JSON",
                latency_s=self.latency_s,
            ) from None


class Transport:
    """Reused connections to one server."""

    def __init__(self, base_url: str, headers: Mapping[str, str], max_answer_bytes: int) -> None:
        # Proxies and credentials of the environment are left alone: where calls go is a setting.
        limits = httpx.Limits(
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
        )
        self._client = httpx.Client(
            base_url=base_url,
            headers=dict(headers),
            trust_env=False,
            follow_redirects=False,
            transport=DeadlineTransport(limits),
        )
        self._max_answer_bytes = max_answer_bytes

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> Reply:
        """POST `body`; the last byte of the answer is there within `timeout_s`.

        Raises CallFailed: timeout when it is not, provider_error when the server cannot be reached,
        cuts the answer off or sends too much.
        """
        started = time.monotonic()
        connect_s = min(CONNECT_S, timeout_s)
        timeout = httpx.Timeout(timeout_s, connect=connect_s, pool=connect_s)
        try:
            with (
                within(timeout_s),
                self._client.stream("POST", path, json=body, timeout=timeout) as response,
            ):
                content = self._read(response, started)
                latency_s = time.monotonic() - started
                return Reply(response.status_code, response.headers, content, latency_s)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise self._failed(
                Verdict.PROVIDER_ERROR, "the server cannot be reached", started, served=False
            ) from None
        except httpx.TimeoutException:
            reason = f"no whole answer within {timeout_s:g} s"
            raise self._failed(Verdict.TIMEOUT, reason, started) from None
        except httpx.HTTPError as error:
            reason = f"the connection to the server broke ({type(error).__name__})"
            raise self._failed(Verdict.PROVIDER_ERROR, reason, started) from None

    def close(self) -> None:
        self._client.close()

    def _read(self, response: httpx.Response, started: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._max_answer_bytes:
                reason = f"the server's answer is longer than {self._max_answer_bytes} bytes"
                raise self._failed(Verdict.PROVIDER_ERROR, reason, started)
            chunks.append(chunk)
        return b"".join(chunks)

    @staticmethod
    def _failed(
        verdict: Verdict, reason: str, started: float, *, served: bool | None = None
    ) -> CallFailed:
        return CallFailed(verdict, reason, served=served, latency_s=time.monotonic() - started)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The wait a server asks for (RFC 9110, 10.2.3; OpenAI's retry-after-ms first); None: none."""
    milliseconds = headers.get("retry-after-ms")
    value = headers.get("retry-after", "").strip()
    try:
        if milliseconds is not None:
            wait_s = float(milliseconds) / 1000
        elif value.replace(".", "", 1).isdigit():
            wait_s = float(value)
        elif value:
            at = parsedate_to_datetime(value)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            wait_s = (at - (now or datetime.now(UTC))).total_seconds()
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, wait_s), MOST_RETRY_AFTER_S)
