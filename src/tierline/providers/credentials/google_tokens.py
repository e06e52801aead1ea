"""Access tokens of Google Cloud from its Application Default Credentials, with Google's own
library.

GOOGLE_APPLICATION_CREDENTIALS names a file (of a service account, a user, or a federated identity).
Without it, the library looks for the login of `gcloud auth application-default login` and for the
metadata server of a Google machine. It is imported when the first token is needed.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tierline.providers.credentials.tokens import MOST_BYTES, Token
from tierline.providers.http.transport import Transport
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


OF_GCLOUD = Path("~/.config/gcloud/application_default_credentials.json")
PRODUCT = Path("/sys/class/dmi/id/product_name")  # "Google Compute Engine" on Google's machines
OF_CLOUD_RUN = "K_SERVICE"  # set in its containers


def has_credentials(path: str | None) -> bool:
    """Whether there are credentials, without any network request."""
    if path is not None:
        return Path(path).is_file()
    if OF_CLOUD_RUN in os.environ or OF_GCLOUD.expanduser().is_file():
        return True
    try:
        return PRODUCT.read_text().startswith("Google")
    except OSError:
        return False


class GoogleTokens:
    """The credentials of one process. `path` is the credentials file; None: search for them."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._credentials: Credentials | None = None
        self._transport = Transport("", {}, MOST_BYTES)

    def fetch(self, timeout_s: float) -> Token:
        """A new token. Raises CallFailed. One thread at a time."""
        from google.auth import exceptions

        request = _Requests(self._transport, time.monotonic() + timeout_s)
        try:
            if self._credentials is None:
                self._credentials = self._load(request)
            self._credentials.refresh(request)
        except exceptions.DefaultCredentialsError:
            where = "at GOOGLE_APPLICATION_CREDENTIALS" if self._path else "for Google"
            reason = f"there are no readable credentials {where}"
            raise CallFailed(Cause.NOT_CONFIGURED, reason) from None
        except exceptions.TransportError:
            reason = "Google's token server cannot be reached"
            raise CallFailed(Cause.UNREACHABLE, reason) from None
        except exceptions.RefreshError as error:
            if error.retryable:
                raise CallFailed(Cause.OVERLOADED, "Google gave no token") from None
            reason = "Google refused the credentials"
            raise CallFailed(Cause.KEY, reason) from None
        except (exceptions.GoogleAuthError, ValueError):
            reason = "the credentials for Google cannot be used"
            raise CallFailed(Cause.KEY, reason) from None
        return _token_of(self._credentials)

    def _load(self, request: "_Requests") -> "Credentials":
        import google.auth

        if self._path is None:
            credentials, _ = google.auth.default(scopes=[SCOPE], request=request)
        else:
            credentials, _ = google.auth.load_credentials_from_file(
                self._path, scopes=[SCOPE], request=request
            )
        return credentials

    def close(self) -> None:
        self._transport.close()


def _token_of(credentials: "Credentials") -> Token:
    ends = credentials.expiry  # naive, but in UTC
    if not credentials.token or ends is None:
        raise CallFailed(Cause.OVERLOADED, "Google gave no token")
    lifetime_s = (ends.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    return Token(str(credentials.token), lifetime_s)


class _Answer:
    """An HTTP response in the form that Google's library expects."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


class _Requests:
    """HTTP client for Google's library, with our deadline."""

    def __init__(self, transport: Transport, ends_s: float) -> None:
        self._transport = transport
        self._ends_s = ends_s

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        from google.auth import exceptions

        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise exceptions.TransportError("out of time")
        request = httpx.Request(method, url, headers=dict(headers or {}), content=body)
        try:
            reply = self._transport.send(request, min(left_s, timeout or left_s))
        except CallFailed as failure:
            raise exceptions.TransportError(failure.reason) from None
        return _Answer(reply.status, reply.headers, reply.body)
