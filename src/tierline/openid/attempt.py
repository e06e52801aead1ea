"""One sign-in on its way: what the browser keeps until the identity provider sends it back.

A signed cookie holds a random value, the time, and the page to go on to. State, nonce and PKCE
verifier are derived from the value with the key of this installation, so that nothing is stored,
any API process can complete the sign-in, and the cookie tells none of them.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

LIFETIME_S = 600  # between the sign-in page and the way back: time to type a password and a code
MOST_COOKIE = 3000  # characters
LEEWAY_S = 60  # between the clocks of two API processes
STATE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Attempt:
    """A sign-in that was begun in one browser."""

    value: str
    began_s: int  # seconds since the epoch
    then: str  # the path to go on to
    key: bytes

    @property
    def state(self) -> str:
        """Comes back with the provider's answer, and ties it to this browser."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Is in the ID token, and ties it to this sign-in."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """Proves that the code is redeemed by who asked for it (PKCE, RFC 7636)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """What the authorization request shows of the verifier (S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    @property
    def digest(self) -> bytes:
        """Identifies the attempt in the table of those that were completed."""
        return hashlib.sha256(self.state.encode()).digest()

    def cookie(self) -> str:
        """The value of the browser's cookie, which `read_attempt` reads."""
        content = f"{self.value}.{self.began_s}.{_text(self.then.encode())}"
        return f"{content}.{_signature(self.key, content)}"

    def _derived(self, purpose: str) -> str:
        return _text(_mac(self.key, f"{purpose}:{self.value}"))


def signing_key(client_secret: str) -> bytes:
    """The key of this installation's attempts. All API processes have the same client secret."""
    return _mac(client_secret.encode(), "tierline console sign-in")


def begin_attempt(key: bytes, now_s: float, then: str) -> Attempt:
    """A new attempt."""
    return Attempt(secrets.token_urlsafe(32), int(now_s), then, key)


def read_attempt(cookie: str, key: bytes, now_s: float) -> Attempt | None:
    """The attempt of a cookie; None if it is not signed by this installation, or too old."""
    content, _, signature = cookie.rpartition(".")
    given = signature.encode("utf-8", "replace")
    if len(cookie) > MOST_COOKIE or not hmac.compare_digest(
        given, _signature(key, content).encode()
    ):
        return None
    value, began, then = content.split(".")
    attempt = Attempt(value, int(began), _read(then), key)
    return attempt if -LEEWAY_S <= now_s - attempt.began_s <= LIFETIME_S else None


def tag_of(state: str) -> str:
    """A part of the cookie's name, so that two tabs that sign in at once do not disturb each
    other."""
    return hashlib.sha256(state.encode()).hexdigest()[:12]


def _signature(key: bytes, content: str) -> str:
    """Of a cookie. The prefix keeps it apart from what is derived with the same key."""
    return _text(_mac(key, f"cookie:{content}"))


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8", "replace"), hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read(text: str) -> str:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
