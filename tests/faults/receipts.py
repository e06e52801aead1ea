"""The webhooks that arrived: a real receiver that verifies each and keeps what it was told.

It answers the first try of every eleventh message with 503, so that second tries are in the mix.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.support.fake_servers.webhook_receiver import Receiver, Request, receiving, status

_OK, _LATER = status(204), status(503)
ONE_IN = 11


class Receipts:
    """What the receiver got, by webhook-id."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._secrets: dict[str, str] = {}
        self._refused: set[str] = set()
        self._read = 0
        self._arrived: Counter[str] = Counter()
        self.wrong_signatures = 0

    @classmethod
    @contextmanager
    def receiving(cls) -> Iterator["Receipts"]:
        """A receiver that runs inside the block."""
        with receiving() as receiver:
            receipts = cls(receiver)

            def manner(request: object) -> None:
                headers: dict[str, str] = request.headers  # type: ignore[attr-defined]
                refuse = receipts._refuses(headers["webhook-id"])
                (_LATER if refuse else _OK)(request)  # type: ignore[arg-type]

            receiver.manner = manner
            yield receipts

    def _refuses(self, webhook_id: str) -> bool:
        with self._receiver.lock:
            if crc32(webhook_id.encode()) % ONE_IN or webhook_id in self._refused:
                return False
            self._refused.add(webhook_id)
            return True

    def url(self, listener: str) -> str:
        """Where an account's jobs, or an endpoint, are told of."""
        return f"http://127.0.0.1:{self._receiver.port}/{listener}"

    def trust(self, listener: str, secret: str) -> None:
        """Messages to that listener are signed with this secret."""
        self._secrets[listener] = secret

    def arrived(self) -> Counter[str]:
        """How often each webhook-id came and was signed right."""
        requests = self._receiver.requests
        while self._read < len(requests):
            self._take(requests[self._read])
            self._read += 1
        return self._arrived

    def _take(self, request: Request) -> None:
        secret = self._secrets[request.path.strip("/")]
        try:
            Webhook(secret).verify(request.body, request.headers)
        except WebhookVerificationError:
            self.wrong_signatures += 1
            return
        self._arrived[request.headers["webhook-id"]] += 1
