"""HTTP with the identity provider: its addresses and keys, which are kept, and codes for tokens.

Each sign-in has one deadline, each answer a maximum size, and no redirect is followed. Nothing that
the provider sends is logged.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
import structlog

from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.base.network.deadline_http import DeadlineTransport, within
from tierline.openid.attempt import Attempt
from tierline.openid.id_token import MOST_TOKEN, Expected, read_keys, verified_claims
from tierline.openid.provider import (
    Endpoints,
    OpenIdConfig,
    authorization_url,
    discovery_url,
    read_discovery,
    token_request,
)
from tierline.openid.refusals import InvalidToken, ProviderFailed, SignInRefused

if TYPE_CHECKING:
    from joserfc.jwk import Key

log = structlog.get_logger(__name__)

KEEP_S = 3600.0  # how long addresses and keys are used without asking again
KEEP_WITHOUT_ANSWER_S = 24 * 3600.0  # … while the provider does not answer
RETRY_S = 60.0  # … until it is asked again after it did not
MOST_ANSWER_BYTES = 256 * 1024
MOST_DEPTH = 20
KEY_LOOKS = 5  # how often keys are read early in LOOKS_S, because a token fits none of them
LOOKS_S = 60.0


@dataclass(frozen=True)
class _Known:
    endpoints: Endpoints
    keys: "tuple[Key, ...]"
    at_s: float  # monotonic


class IdentityProvider:
    """The identity provider of the settings. One per process; its methods block, for threads."""

    def __init__(self, config: OpenIdConfig) -> None:
        import joserfc.jwk
        import joserfc.jws  # noqa: F401 - now, and not within the deadline of the first sign-in

        self.config = config
        self._lock = threading.Lock()  # of the fields below; no request is made while it is held
        self._known: _Known | None = None
        self._failed_at_s = float("-inf")  # when they could not be read again, monotonic
        self._looks: list[float] = []
        # The context reads SSL_CERT_FILE: a company's provider may have a certificate of its own.
        self._http = httpx.Client(
            transport=DeadlineTransport(
                httpx.Limits(max_connections=None, max_keepalive_connections=0),
                httpx.create_ssl_context(),
            ),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in. Raises ProviderFailed."""
        with within(self.config.timeout_s):
            return authorization_url(self.config, self._current().endpoints, attempt)

    def redeem(self, attempt: Attempt, code: str, issuer: str | None) -> Mapping[str, JSON]:
        """The claims of the person whose browser came back with this code. `issuer` is what the
        answer says of itself (RFC 9207). Raises SignInRefused, ProviderFailed, InvalidToken."""
        with within(self.config.timeout_s):
            known = self._current()
            if issuer is None and known.endpoints.names_issuer:
                raise _other_issuer()
            if issuer is not None and issuer != self.config.issuer:
                raise _other_issuer()
            id_token, access_token = self._tokens(known.endpoints, attempt, code)
            expected = Expected(
                self.config.issuer, self.config.client_id, attempt.nonce, access_token
            )
            try:
                return verified_claims(id_token, known.keys, expected, time.time())
            except InvalidToken as error:
                if not error.other_keys or not self._may_look():
                    raise
            # The provider may have changed its keys, also under the same key id.
            return verified_claims(id_token, self._read().keys, expected, time.time())

    def _current(self) -> _Known:
        """Addresses and keys, which are read again after KEEP_S. Raises ProviderFailed."""
        with self._lock:
            known, failed_at_s = self._known, self._failed_at_s
        if known is None:
            return self._read()
        now_s = time.monotonic()
        age_s = now_s - known.at_s
        lasts = age_s <= KEEP_WITHOUT_ANSWER_S
        if age_s < KEEP_S or (lasts and now_s - failed_at_s < RETRY_S):
            return known
        try:
            return self._read()
        except ProviderFailed:
            if not lasts:
                raise
            # A provider that hangs takes the time of this sign-in, and of no other one for now.
            with self._lock:
                self._failed_at_s = time.monotonic()
            return known

    def _read(self) -> _Known:
        document = self._json("discovery", "GET", discovery_url(self.config.issuer))
        try:
            endpoints = read_discovery(document, self.config.issuer)
        except ValueError as error:
            raise _failed("discovery", "discovery_unfit", str(error)) from None
        try:
            keys = read_keys(self._json("keys", "GET", endpoints.keys))
        except ValueError as error:
            raise _failed("keys", "keys_unfit", str(error)) from None
        known = _Known(endpoints, keys, time.monotonic())
        with self._lock:
            self._known = known
        return known

    def _may_look(self) -> bool:
        """Whether keys may be read early. A flood of wrong tokens causes KEY_LOOKS reads a
        minute."""
        now_s = time.monotonic()
        with self._lock:
            self._looks = [at_s for at_s in self._looks if now_s - at_s < LOOKS_S]
            if len(self._looks) >= KEY_LOOKS:
                return False
            self._looks.append(now_s)
            return True

    def _tokens(self, endpoints: Endpoints, attempt: Attempt, code: str) -> tuple[str, str | None]:
        """The ID token and the access token of a code."""
        request = token_request(self.config, endpoints, code, attempt.verifier)
        answer = self._json("token", "POST", endpoints.token, request.form, request.basic)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or len(id_token) > MOST_TOKEN:
            raise _failed("token", "no_id_token", "its answer has no ID token")
        return id_token, access_token if isinstance(access_token, str) else None

    def _json(
        self,
        step: str,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Mapping[str, JSON]:
        """The JSON object of an answer. Raises ProviderFailed, and SignInRefused for a code that
        the provider refuses."""
        body = b""
        try:
            with self._http.stream(
                method,
                url,
                data=form,
                auth=httpx.USE_CLIENT_DEFAULT if basic is None else httpx.BasicAuth(*basic),
                headers={"accept": "application/json", "accept-encoding": "identity"},
                timeout=self.config.timeout_s,
            ) as response:
                self._http.cookies.clear()  # each sign-in is another person's
                for part in response.iter_raw():
                    body += part
                    if len(body) > MOST_ANSWER_BYTES:
                        raise _failed(step, "answer_too_long", "its answer is too long")
        except httpx.TimeoutException:
            text = f"it does not answer within {self.config.timeout_s:g} s"
            raise _failed(step, "timeout", text) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failed(step, type(error).__name__, "it cannot be reached") from None
        status = response.status_code
        try:
            answer = parse_json(body.decode(), MOST_DEPTH)
        except (UnicodeDecodeError, NotJson):
            answer = None
        refused = isinstance(answer, dict) and answer.get("error") == "invalid_grant"
        if step == "token" and status == HTTPStatus.BAD_REQUEST and refused:
            raise SignInRefused(
                "code_refused",
                "The identity provider does not accept this sign-in any more: it was used before,"
                " or took too long. Sign in again.",
            )
        if status != HTTPStatus.OK:
            raise _failed(step, f"status_{status}", f"it answers with the status {status}")
        if not isinstance(answer, dict):
            raise _failed(step, "not_json", "its answer is not a JSON object")
        return answer


def _failed(step: str, reason: str, text: str) -> ProviderFailed:
    log.warning("openid_provider_failed", step=step, reason=reason)
    return ProviderFailed(
        f"provider_{step}_failed",
        f"Signing in with the identity provider does not work now ({step}: {text}). Try again"
        " later, or sign in with an API key.",
    )


def _other_issuer() -> SignInRefused:
    return SignInRefused("wrong_issuer", "Another identity provider sent this answer.")
