"""`azure:` models: deployments of Azure OpenAI and Azure AI Foundry, by AZURE_OPENAI_ENDPOINT.

The model's name is the deployment's. With OPENAI_API_VERSION set, calls go to the deployment's own
path with that api-version; without it to the v1 API, which has none. A key (AZURE_OPENAI_API_KEY)
or an Entra ID token (AZURE_OPENAI_AD_TOKEN), of which the token goes first.
"""

from urllib.parse import quote

from tierline.catalogue import find
from tierline.causes import Cause
from tierline.providers.capabilities import known
from tierline.providers.chat_completions import Dialect, body_of, read_completion
from tierline.providers.openai import by_name
from tierline.providers.transport import Transport
from tierline.providers.types import (
    CallFailed,
    Capabilities,
    Completion,
    CompletionRequest,
)
from tierline.settings import Settings

THINKING = Dialect(limit="max_completion_tokens", request_id="apim-request-id")
PLAIN = Dialect(request_id="apim-request-id")  # older deployments know only max_tokens
V1 = frozenset({"v1", "preview", "latest"})


class Azure:
    """One resource of Azure and its deployments."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.azure_openai_endpoint
        key, token = settings.azure_openai_api_key, settings.azure_openai_ad_token
        self._authorized = key is not None or token is not None
        version = settings.openai_api_version
        self._version = None if version in V1 else version
        headers = {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        elif key is not None:
            headers["api-key"] = key.get_secret_value()
        self._transport = Transport(_base(self._endpoint or ""), headers, settings.max_answer_bytes)

    def missing(self) -> str | None:
        if self._endpoint is None:
            return "AZURE_OPENAI_ENDPOINT is not set"
        if not self._authorized:
            return "AZURE_OPENAI_API_KEY is not set, nor AZURE_OPENAI_AD_TOKEN"
        return None

    def capabilities(self, model: str) -> Capabilities:
        sold_at = "azure" if find("azure", model) is not None else "openai"
        return known(sold_at, model, by_name(model))

    def complete(self, request: CompletionRequest) -> Completion:
        missing = self.missing()
        if missing is not None:
            raise CallFailed(Cause.NOT_CONFIGURED, missing)
        deployment = request.model.model
        can = self.capabilities(deployment)
        dialect = THINKING if can.reasoning or self._version is None else PLAIN
        body = body_of(request, dialect, can)
        reply = self._transport.post(self._path(deployment), body, request.timeout_s)
        return read_completion(reply, deployment, dialect)

    def close(self) -> None:
        self._transport.close()

    def _path(self, deployment: str) -> str:
        if self._version is None:
            return "v1/chat/completions"
        name = quote(deployment, safe="")  # a slash would lead elsewhere
        return f"deployments/{name}/chat/completions?api-version={self._version}"


def _base(endpoint: str) -> str:
    """The resource's /openai, whichever of its addresses was copied."""
    base = endpoint.rstrip("/")
    return base.removesuffix("/v1").removesuffix("/openai") + "/openai"
