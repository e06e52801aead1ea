"""The command line's way to the API: where it is, with which key, and its problems as our errors.

Where: the `tierline up` that runs on --home; else TIERLINE_URL with TIERLINE_API_KEY; else the one
that runs on TIERLINE_HOME or the default home. It repeats nothing: whoever may repeat a request
knows so, and does.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from tierline.base.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LimitReached,
    NotFound,
    Problem,
    TierlineError,
    Unavailable,
    UsageError,
)
from tierline.base.json_text import JSON
from tierline.base.retry_after import retry_after_s

CONNECT_S = 5.0
ANSWER_S = 60.0  # longer than the longest Prefer: wait
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Place:
    """Where the API is, and the key to use there."""

    url: str
    key: str = field(repr=False)


class Client:
    """One connection to the API. Methods give the JSON of the answer; every error is ours."""

    def __init__(self, place: Place) -> None:
        self.url = place.url
        self._http = httpx.Client(
            base_url=place.url,
            headers={"Authorization": f"Bearer {place.key}", "User-Agent": "tierline-cli"},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=urlsplit(place.url).hostname not in LOOPBACK,  # no proxy reaches those
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> JSON:
        return self.request("GET", path, params=params)

    def post(
        self,
        path: str,
        json: JSON = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JSON:
        return self.request("POST", path, json=json, content=content, headers=headers)

    def patch(self, path: str, json: JSON) -> JSON:
        return self.request("PATCH", path, json=json)

    def delete(self, path: str) -> JSON:
        return self.request("DELETE", path)

    def request(self, method: str, path: str, **options: Any) -> JSON:
        """The JSON of a 2xx answer, None for an empty one. Raises a TierlineError otherwise."""
        response = self.send(method, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise Unavailable(f"{self.url} answers, but not as tierline does") from None

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The 2xx answer itself. Raises a TierlineError for any other."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.ConnectError:
            raise self.silent() from None
        except httpx.InvalidURL as error:
            raise UsageError(f"{self.url}: {error}") from None
        except httpx.UnsupportedProtocol:
            raise UsageError(f"{self.url}: TIERLINE_URL begins with http:// or https://") from None
        except httpx.TimeoutException:
            raise Unavailable(f"{self.url} takes too long to answer") from None
        except httpx.TransportError as error:
            raise Unavailable(f"{self.url} broke off: {type(error).__name__}") from None
        if not response.is_success:
            raise problem_of(response)
        return response

    def silent(self) -> Unavailable:
        """The error for an address where nothing listens."""
        return Unavailable(
            f"nothing answers at {self.url}: start it with 'tierline up', or set TIERLINE_URL"
        )


def connect(home: Path | None = None) -> Client:
    """A client of the API that is meant. Raises UsageError or Unavailable when there is none."""
    return Client(find(home))


def find(home: Path | None = None) -> Place:
    """Where the API is: --home first, then the environment, then the default home."""
    from tierline.stack.home import default_home
    from tierline.stack.running import find_running

    url = os.environ.get("TIERLINE_URL", "").rstrip("/")
    key = os.environ.get("TIERLINE_API_KEY", "")
    if url and home is None:
        if not key:
            raise UsageError("TIERLINE_URL is set and TIERLINE_API_KEY is not: name a key as well")
        return Place(url, _sendable(key))
    named = os.environ.get("TIERLINE_HOME")
    folder = home or (Path(named) if named else default_home())
    running = find_running(folder)
    if running is None:
        raise Unavailable(
            f"no 'tierline up' runs on {folder}: start it, name its --home, or set TIERLINE_URL"
        )
    own = running.api_key or ""
    return Place(running.api, _sendable(own if home is not None else key or own))


def problem_of(response: httpx.Response) -> TierlineError:
    """What a refusal means, with the words that the API gave."""
    status = response.status_code
    try:
        body = response.json()
        detail = str(body.get("detail") or body.get("title") or "")
        errors = body.get("errors") or []
        left_out = int(body.get("errors_left_out") or 0)
    except (ValueError, AttributeError, TypeError):
        detail, errors, left_out = "", [], 0
    detail = detail or f"HTTP {status}"
    if status == 401:
        return Forbidden(f"the API does not take this key: {detail}")
    if status == 403:
        return Forbidden(detail)
    if status == 404:
        return NotFound(detail)
    if status == 409:
        return Conflict(detail)
    if status in (400, 413, 415, 422):
        problems = [_fault(one) for one in errors if isinstance(one, dict)]
        return InvalidInput(problems or [Problem(detail)], left_out)
    if status == 429:
        return LimitReached(detail, retry_after_s(response.headers.get("retry-after")))
    if status >= 500:
        return Unavailable(detail, retry_after_s(response.headers.get("retry-after")))
    return TierlineError(detail)


def _fault(found: Mapping[str, Any]) -> Problem:
    line = found.get("line")
    return Problem(
        str(found.get("message", "")),
        str(found.get("path") or ""),
        line if isinstance(line, int) else None,
    )


def _sendable(key: str) -> str:
    """The key, if a header can carry it. Raises UsageError, without showing it."""
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("TIERLINE_API_KEY holds characters that no key has")
    return key
