"""`azure:` models: deployments of Azure OpenAI and Azure AI Foundry, at AZURE_OPENAI_ENDPOINT.

The model's name is the deployment's. With OPENAI_API_VERSION set, calls go to the deployment's own
path with that api-version; without it to the v1 API, which has no versions. Credentials, in this
order: an Entra ID token (AZURE_OPENAI_AD_TOKEN), a key (AZURE_OPENAI_API_KEY), or an application's
credentials for fetching tokens (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET).
"""

from dataclasses import replace

from tierline.base.settings import Settings
from tierline.catalogue import find
from tierline.providers.capabilities import with_catalogue
from tierline.providers.chat_completions import Dialect, ask
from tierline.providers.credentials.entra import Entra
from tierline.providers.credentials.tokens import Tokens
from tierline.providers.http.segments import segment
from tierline.providers.http.transport import Transport
from tierline.providers.openai import by_name
from tierline.providers.schemas import for_azure
from tierline.providers.types import (
    Capabilities,
    Completion,
    CompletionRequest,
    require,
)

PLAIN = Dialect(
    schema=for_azure, request_id="apim-request-id"
)  # older deployments know only max_tokens
THINKING = replace(PLAIN, limit="max_completion_tokens")
V1 = frozenset({"v1", "preview", "latest"})


class Azure:
    """One Azure resource and its deployments."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.azure_openai_endpoint
        key, token = settings.azure_openai_api_key, settings.azure_openai_ad_token
        self._entra = None if token is not None or key is not None else _application(settings)
        self._authorized = bool(token or key or self._entra)
        version = settings.openai_api_version
        self._version = None if version in V1 else version
        headers = {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        elif key is not None:
            headers["api-key"] = key.get_secret_value()
        tokens = None if self._entra is None else Tokens(self._entra.fetch)
        self._transport = Transport(
            _base(self._endpoint or ""),
            headers,
            settings.max_answer_bytes,
            tokens,
            setting="AZURE_OPENAI_ENDPOINT",
        )

    def missing(self) -> str | None:
        if self._endpoint is None:
            return "AZURE_OPENAI_ENDPOINT is not set"
        if not self._authorized:
            return (
                "no credentials are set: AZURE_OPENAI_API_KEY, AZURE_OPENAI_AD_TOKEN, or all of"
                " AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
            )
        return None

    def capabilities(self, model: str) -> Capabilities:
        listed_by = "azure" if find("azure", model) is not None else "openai"
        can = replace(by_name(model), service_tiers=())  # a deployment sets its service tier itself
        return with_catalogue(listed_by, model, can)

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        deployment = request.model.model
        can = self.capabilities(deployment)
        dialect = THINKING if can.reasoning or self._version is None else PLAIN
        return ask(self._transport, request, dialect, can, self._path(deployment))

    def close(self) -> None:
        self._transport.close()
        if self._entra is not None:
            self._entra.close()

    def _path(self, deployment: str) -> str:
        if self._version is None:
            return "v1/chat/completions"
        name = segment(deployment)
        return f"deployments/{name}/chat/completions?api-version={self._version}"


def _application(settings: Settings) -> Entra | None:
    tenant, client = settings.azure_tenant_id, settings.azure_client_id
    secret = settings.azure_client_secret
    if tenant is None or client is None or secret is None:
        return None
    return Entra(settings.azure_authority_host, tenant, client, secret)


def _base(endpoint: str) -> str:
    """The resource's /openai URL, from any of the addresses that the portal shows."""
    base = endpoint.rstrip("/")
    return base.removesuffix("/v1").removesuffix("/openai") + "/openai"
