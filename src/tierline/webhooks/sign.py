"""Signing by Standard Webhooks' reference library."""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor

from standardwebhooks.webhooks import Webhook

SECRET_BYTES = 24  # the least that the specification allows, and what its library's examples use


def new_secret() -> str:
    """A secret as the specification writes it: whsec_ and base64."""
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(
    webhook_id: str, body: bytes, at: datetime, secret: str, old_secret: str | None = None
) -> Mapping[str, str]:
    """The three headers of one try, made at `at`; `body` must be sent as it is.

    With `old_secret`, signed by both, the new one first, so that a receiver may hold either. `at`
    is aware: the library takes a naive time, or one of another zone, for UTC without a word.
    """
    if at.tzinfo is None:
        raise ValueError("the time of a signature must be aware")
    moment = at.astimezone(UTC)
    content = body.decode("utf-8")
    keys = [secret] if old_secret is None else [secret, old_secret]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(floor(moment.timestamp())),
        "webhook-signature": " ".join(
            str(Webhook(key).sign(msg_id=webhook_id, timestamp=moment, data=content))
            for key in keys
        ),
    }
