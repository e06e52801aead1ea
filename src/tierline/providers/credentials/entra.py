"""Access tokens of Microsoft Entra ID for Azure, with an application's client credentials.

Source: Microsoft's "OAuth 2.0 client credentials flow", with the variables of azure-identity:
AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_AUTHORITY_HOST. It is one request; the
library would add four packages.
"""

from urllib.parse import quote, urlencode

import httpx
from pydantic import SecretStr

from tierline.providers.credentials.tokens import MOST_BYTES, Token
from tierline.providers.http import reading
from tierline.providers.http.transport import Transport
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause

SCOPE = "https://cognitiveservices.azure.com/.default"


class Entra:
    """One application of one tenant."""

    def __init__(self, authority: str, tenant: str, client: str, secret: SecretStr) -> None:
        self._url = f"{authority.rstrip('/')}/{quote(tenant, safe='')}/oauth2/v2.0/token"
        self._client = client
        self._secret = secret
        self._transport = Transport("", {}, MOST_BYTES)

    def fetch(self, timeout_s: float) -> Token:
        """A new token. Raises CallFailed."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client,
            "client_secret": self._secret.get_secret_value(),
            "scope": SCOPE,
        }
        request = httpx.Request(
            "POST",
            self._url,
            headers={"content-type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode(),
        )
        reply = self._transport.send(request, timeout_s)
        if reply.status in (400, 401, 403):
            reason = f"Entra ID refused the application's credentials (HTTP {reply.status})"
            raise CallFailed(Cause.KEY, reason, latency_s=reply.latency_s)
        if reply.status != 200:
            reason = f"Entra ID gave no token (HTTP {reply.status})"
            raise CallFailed(Cause.OVERLOADED, reason, latency_s=reply.latency_s)
        data = reading.mapping(reply.json())
        value, lifetime_s = data.get("access_token"), data.get("expires_in")
        if not isinstance(value, str) or not isinstance(lifetime_s, int | float):
            reason = "Entra ID's answer has no token"
            raise CallFailed(Cause.OVERLOADED, reason, latency_s=reply.latency_s)
        return Token(value, float(lifetime_s))

    def close(self) -> None:
        self._transport.close()
