"""An OpenID provider on loopback: discovery, authorize, token and keys over real HTTP.

It signs with real keys and holds a client to the protocol: client secret, redirect address, PKCE,
and codes that work once. A test chooses who signs in, and what goes wrong.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from tests.support.fake_servers.held_server import HeldServer, running
from tests.support.waiting import DEADLINE_S

CLIENT_ID = "tierline console"  # with a space: it is encoded in the header
CLIENT_SECRET = "sentinel+secret/of:the client"
Answer = tuple[int, str, bytes]  # status, content type, body
HTML: Answer = (200, "text/html", b"<html>Maintenance: sentinel-html</html>")


class IdentityProvider(HeldServer):
    """Signs in whoever comes, as the person of `claims`."""

    def __init__(self) -> None:
        super().__init__(_Request)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.rsa: Any = RSAKey.generate_key(2048, {"kid": "rsa"})
        self.ec: Any = ECKey.generate_key("P-256", {"kid": "ec"})
        self.key, self.algorithm = self.rsa, "RS256"  # what signs
        self.redirect_uris: set[str] = set()
        self.claims: dict[str, Any] = {}
        self.more: dict[str, Any] = {}  # claims of the next tokens that replace the right ones
        self.published: Any = None  # keys in the place of the signing key
        self.answers: dict[str, Answer] = {}  # by path, in the place of the right ones
        self.remake: Callable[[str], str] = lambda token: token  # changes a token before it goes
        self.codes_last = False  # a code works again and again: against the protocol
        self.secret_in_form = False
        self.paths: list[str] = []
        self.granted: dict[str, dict[str, str]] = {}  # the request of each code
        self.slow: set[str] = set()  # paths that answer when the test is over

    def behave(self) -> None:
        """Do everything right, with the first key."""
        self.key, self.algorithm = self.rsa, "RS256"
        self.more, self.answers, self.published, self.slow = {}, {}, None, set()
        self.codes_last = self.secret_in_form = False
        self.remake = lambda token: token

    def use_ec_key(self) -> None:
        """Sign with an elliptic curve from now on."""
        self.key, self.algorithm = self.ec, "ES256"

    def new_key(self, kid: str) -> None:
        """Sign with another RSA key from now on."""
        self.key, self.algorithm = RSAKey.generate_key(2048, {"kid": kid}), "RS256"

    def discovery(self) -> dict[str, Any]:
        method = "client_secret_post" if self.secret_in_form else "client_secret_basic"
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": [method],
            "authorization_response_iss_parameter_supported": True,
        }

    def keys(self) -> Any:
        every = {key.kid: key for key in (self.rsa, self.ec, self.key)}  # the last of each id
        return self.published or {"keys": [key.as_dict(private=False) for key in every.values()]}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes back to."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        assert query["redirect_uri"] in self.redirect_uris
        code = secrets.token_urlsafe(16)
        self.granted[code] = query
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: dict[str, str], authorization: str | None) -> Answer:
        """The answer of the token endpoint."""
        if self._client(form, authorization) != (CLIENT_ID, CLIENT_SECRET):
            return _json({"error": "invalid_client"}, 401)
        code = form.get("code", "")
        query = self.granted.get(code) if self.codes_last else self.granted.pop(code, None)
        if form.get("grant_type") != "authorization_code" or query is None:
            return _json({"error": "invalid_grant"}, 400)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = _text(challenge) == query["code_challenge"]
        if not fits or form.get("redirect_uri") != query["redirect_uri"]:
            return _json({"error": "invalid_grant"}, 400)
        access_token = f"sentinel-access-{secrets.token_urlsafe(16)}"
        token = self.remake(self.id_token(query["nonce"], access_token))
        return _json({"access_token": access_token, "token_type": "Bearer", "id_token": token})

    def id_token(self, nonce: str, access_token: str) -> str:
        """A signed token of the person."""
        now_s = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": nonce,
            "at_hash": _text(hashlib.sha256(access_token.encode()).digest()[:16]),
            **self.claims,
            **self.more,
        }
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return jws.serialize_compact(header, json.dumps(claims), self.key, [self.algorithm])

    def _client(self, form: dict[str, str], authorization: str | None) -> tuple[str, str]:
        if self.secret_in_form:
            return form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, credentials = (authorization or "").partition(" ")
        assert scheme == "Basic"
        user, _, password = base64.b64decode(credentials).decode().partition(":")
        return unquote_plus(user), unquote_plus(password)


class _Request(BaseHTTPRequestHandler):
    server: IdentityProvider

    def do_GET(self) -> None:
        path, query = self._path()
        if path == "/authorize" and path not in self.server.answers:
            self.send_response(302)
            self.send_header("Location", self.server.authorize(query))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/keys":
            self._answer(path, _json(self.server.keys()))
        else:
            self._answer(path, _json(self.server.discovery()))

    def do_POST(self) -> None:
        path, _ = self._path()
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        form = dict(parse_qsl(body))
        self._answer(path, self.server.token(form, self.headers["Authorization"]))

    def _path(self) -> tuple[str, dict[str, str]]:
        url = urlsplit(self.path)
        self.server.paths.append(url.path)
        return url.path, dict(parse_qsl(url.query))

    def _answer(self, path: str, right: Answer) -> None:
        if path in self.server.slow:
            self.server.released.wait(DEADLINE_S)
        status, kind, body = self.server.answers.get(path, right)
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return  # the client did not wait

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what matters."""


def _json(value: object, status: int = 200) -> Answer:
    return status, "application/json", json.dumps(value).encode()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """A provider that runs inside the block."""
    with running(IdentityProvider()) as provider:
        yield provider
