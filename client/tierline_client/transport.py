"""Makes one request to the API, and raises an error for every response that is not a success.

Nothing is repeated here. Use `retries` for requests that are safe to repeat.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tierline_client.errors import Misconfigured, NotTierline, Unavailable, error_of

CONNECT_S = 5.0
ANSWER_S = 60.0  # longer than the longest Prefer: wait
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
IDENTITY = "Tierline-Api"  # a header that identifies the API; release 0.1 does not send it
GATEWAY = frozenset({502, 503, 504})  # from a proxy, if the server behind it does not answer


@dataclass(frozen=True)
class Place:
    """The API's address and key. Raises Misconfigured for a key that is invalid in a header; the
    message does not show the key.
    """

    url: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise Misconfigured("TIERLINE_API_KEY has invalid characters")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Place | None":
        """The place from TIERLINE_URL and TIERLINE_API_KEY; None if TIERLINE_URL is not set. Raises
        Misconfigured if only the key is not set.
        """
        url = environment.get("TIERLINE_URL", "").rstrip("/")
        key = environment.get("TIERLINE_API_KEY", "").strip()
        if not url:
            return None
        if not key:
            raise Misconfigured("TIERLINE_URL is set, but TIERLINE_API_KEY is not: set it too")
        return cls(url, key)


class Transport:
    """A connection to the API, for one thread. On success methods return the response's JSON, or
    None if it is empty. Otherwise they raise a TierlineError.

    `place`: by default from the environment; raises Misconfigured if it is not set there.
    `over`: sends the requests instead of httpx's own transport.
    """

    def __init__(
        self,
        place: Place | None = None,
        user_agent: str = "tierline-client",
        over: httpx.BaseTransport | None = None,
    ) -> None:
        place = place or Place.from_environment()
        if place is None:
            raise Misconfigured("TIERLINE_URL is not set: set it to the address of the API")
        self.url: str = place.url
        self._known = False  # True once the server has identified itself as tierline
        parts = urlsplit(place.url)
        local, plain = parts.hostname in LOOPBACK, parts.scheme == "http"
        self._http = httpx.Client(
            base_url=place.url,
            transport=over,
            # Loading certificates takes 20 ms. Without any, no certificate would be accepted.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if local and plain else True,
            headers={"Authorization": f"Bearer {place.key}", "User-Agent": user_agent},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=not local,  # no proxy for loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        """The JSON of a success; `options` are passed to httpx. Raises a TierlineError."""
        response = self.send(method, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise NotTierline(self.url) from None

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The successful response. Raises a TierlineError for other responses and for none."""
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
                f"{self.url}: TIERLINE_URL must begin with http:// or https://"
            ) from None
        except httpx.TimeoutException:
            raise Unavailable(f"{self.url} takes too long to answer") from None
        except httpx.TransportError as error:
            raise Unavailable(
                f"the connection to {self.url} failed: {type(error).__name__}"
            ) from None

    def _is_tierline(self, response: httpx.Response) -> bool:
        """Whether the response is from tierline, or from a proxy in front of it.

        Release 0.1 does not send the header, and a proxy may remove it. In that case the title of
        the API's OpenAPI document is checked, once.
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
