"""Webhooks: verifying them by Standard Webhooks, and reading their events."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tierline_client.errors import BadSignature, Misconfigured

if TYPE_CHECKING:
    from tierline_client.webhook_models import WebhookEvent

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Webhooks:
    """Verifies webhooks with the secret of their endpoint, or of the account for jobs' own URLs."""

    def __init__(self, secret: str | None = None) -> None:
        self._secret = secret

    def verify(
        self,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        body: bytes | str,
        secret: str | None = None,
    ) -> WebhookEvent:
        """The event in a webhook. `body` must be the bytes as they came.

        Raises BadSignature; and Misconfigured without a secret, which is this one, the client's, or
        TIERLINE_WEBHOOK_SECRET.

        >>> from tierline_client import BadSignature
        >>> webhooks = Webhooks("whsec_c2VjcmV0LW9mLTI0LWJ5dGVzLWhlcmU=")
        >>> try:
        ...     webhooks.verify({"webhook-id": "msg_1"}, b"{}")
        ... except BadSignature as error:
        ...     print(error.message)
        the webhook has no header webhook-timestamp
        """
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError

        from tierline_client.webhook_models import event_of

        used = secret or self._secret or os.environ.get("TIERLINE_WEBHOOK_SECRET")
        if not used:
            raise Misconfigured("give the webhook's secret, or set TIERLINE_WEBHOOK_SECRET")
        lowercase = {name.lower(): value for name, value in dict(headers).items()}
        missing = [name for name in HEADERS if name not in lowercase]
        if missing:
            raise BadSignature(f"the webhook has no header {missing[0]}")
        try:
            verifier = Webhook(used)
        except (ValueError, RuntimeError):
            raise Misconfigured("the webhook's secret is none: it begins with whsec_") from None
        try:
            verifier.verify(body, {name: lowercase[name] for name in HEADERS})
            document: Any = json.loads(body)
        except (WebhookVerificationError, ValueError) as error:
            raise BadSignature(f"the webhook is not signed with this secret: {error}") from None
        return event_of(document, lowercase["webhook-id"])
