"""One request to the API: where it is, with which key, and an error for every other answer.

Nothing is repeated here: `retries` does that, for whoever knows that a request may be repeated.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tierline_client.errors import Misconfigured, NotTierline, Unavailable, error_of

CONNECT_S = 5.0
ANSWER_S = 60.0  # longer than the longest Prefer: wait
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
IDENTITY = "Tierline-Api"  # the header by which the API is known; release 0.1 does not send it
GATEWAY = frozenset({502, 503, 504})  # a proxy answers for a server that does not


@dataclass(frozen=True)
class Place:
    """Where the API is, and the key to use there. Raises Misconfigured for a key that no header
    can carry, without showing it.
    """

    url: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise Misconfigured("TIERLINE_API_KEY holds characters that no key has")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Place | None":
        """What TIERLINE_URL and TIERLINE_API_KEY say; None where there is no TIERLINE_URL. Raises
        Misconfigured without a key.
        """
        url = environment.get("TIERLINE_URL", "").rstrip("/")
        key = environment.get("TIERLINE_API_KEY", "").strip()
        if not url:
            return None
        if not key:
            raise Misconfigured(
                "TIERLINE_URL is set and TIERLINE_API_KEY is not: name a key as well"
            )
        return cls(url, key)


class Transport:
    """A connection to the API, of one thread. Methods return the JSON of a success, None for an
    empty one, and raise a TierlineError otherwise.

    `place`: as the environment says unless given; raises Misconfigured where it says nothing.
    """

    def __init__(self, place: Place | None = None, user_agent: str = "tierline-client") -> None:
        place = place or Place.from_environment()
        if place is None:
            raise Misconfigured("TIERLINE_URL is not set: it is the address of the API")
        self.url = place.url
        self._known = False  # that tierline answers there
        self._http = httpx.Client(
            base_url=place.url,
            headers={"Authorization": f"Bearer {place.key}", "User-Agent": user_agent},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=urlsplit(place.url).hostname not in LOOPBACK,  # no proxy reaches those
        )

    def __enter__(self) -> Self:
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

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self.request("GET", path, params=params)

    def post(
        self,
        path: str,
        json: Any = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return self.request("POST", path, json=json, content=content, headers=headers)

    def patch(self, path: str, json: Any) -> Any:
        return self.request("PATCH", path, json=json)

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path)

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of a success; `options` as httpx takes them. Raises a TierlineError."""
        response = self.send(method, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise NotTierline(self.url) from None

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A success itself. Raises a TierlineError for any other answer, and for none."""
        response = self._ask(method, path, **options)
        if not self._is_tierline(response):
            raise NotTierline(self.url)
        if not response.is_success:
            raise error_of(response.status_code, response.headers, response.content)
        return response

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.ConnectError:
            raise Unavailable(
                f"nothing answers at {self.url}: start it with 'tierline up', or set TIERLINE_URL"
            ) from None
        except httpx.InvalidURL as error:
            raise Misconfigured(f"{self.url}: {error}") from None
        except httpx.UnsupportedProtocol:
            raise Misconfigured(
                f"{self.url}: TIERLINE_URL begins with http:// or https://"
            ) from None
        except httpx.TimeoutException:
            raise Unavailable(f"{self.url} takes too long to answer") from None
        except httpx.TransportError as error:
            raise Unavailable(f"{self.url} broke off: {type(error).__name__}") from None

    def _is_tierline(self, response: httpx.Response) -> bool:
        """Whether tierline, or a proxy that stands in for it, gave the answer.

        Release 0.1 has no header of its own, and a proxy may remove it: then, once, the API's
        description tells.
        """
        if self._known or IDENTITY in response.headers or response.status_code in GATEWAY:
            self._known = self._known or IDENTITY in response.headers
            return True
        described = self._ask("GET", "/openapi.json")
        if described.status_code in GATEWAY:
            return True
        try:
            self._known = described.json()["info"]["title"] == "tierline"
        except (ValueError, KeyError, TypeError):
            self._known = False
        return self._known
