"""Signatures with the reference library of Standard Webhooks."""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor

from standardwebhooks.webhooks import Webhook

SECRET_BYTES = 24  # the specification's minimum, and the size in its library's examples


def new_secret() -> str:
    """A secret in the specification's form: whsec_ and base64."""
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(
    webhook_id: str, body: bytes, at: datetime, secret: str, old_secret: str | None = None
) -> Mapping[str, str]:
    """The three headers of one try at time `at`; `body` must be sent unchanged.

    With `old_secret` there are two signatures, the new one first, so that a receiver may know
    either secret. `at` must be aware: the library silently treats any other time as UTC.
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
