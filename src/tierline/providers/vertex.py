"""`vertex:` models: Gemini on Google Cloud, at GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION.

Tokens come from the Application Default Credentials, as in Google's own client. A token in
GOOGLE_OAUTH_ACCESS_TOKEN (from `gcloud auth print-access-token`) takes precedence; it expires after
an hour and is not renewed. Vertex stores no requests unless its operator enables it.
"""

from tierline.base.settings import Settings
from tierline.providers.credentials.google_tokens import GoogleTokens, has_credentials
from tierline.providers.credentials.tokens import Tokens
from tierline.providers.generate_content import (
    body_of,
    capabilities,
    gives_logprobs,
    read_completion,
)
from tierline.providers.http.segments import segment
from tierline.providers.http.transport import Transport
from tierline.providers.types import (
    Capabilities,
    Completion,
    CompletionRequest,
    require,
)

HOST = "aiplatform.googleapis.com"
MULTI_REGIONS = frozenset({"eu", "us"})


class Vertex:
    """One project at one location."""

    def __init__(self, settings: Settings) -> None:
        self._project = settings.google_cloud_project
        self._location = settings.google_cloud_location
        self._token = settings.google_access_token
        headers = {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        self._credentials = settings.google_application_credentials
        self._google = GoogleTokens(self._credentials) if self._token is None else None
        tokens = None if self._google is None else Tokens(self._google.fetch)
        base_url = settings.vertex_base_url or f"https://{host(self._location)}"
        self._transport = Transport(
            base_url, headers, settings.max_answer_bytes, tokens, "GOOGLE_VERTEX_BASE_URL"
        )

    def missing(self) -> str | None:
        if self._project is None:
            return "GOOGLE_CLOUD_PROJECT is not set"
        if self._token is not None or has_credentials(self._credentials):
            return None
        if self._credentials is not None:
            return "GOOGLE_APPLICATION_CREDENTIALS does not name an existing file"
        return "neither GOOGLE_APPLICATION_CREDENTIALS nor GOOGLE_OAUTH_ACCESS_TOKEN is set"

    def capabilities(self, model: str) -> Capabilities:
        return capabilities("vertex", model, most_logprobs=20 if gives_logprobs(model) else 0)

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        model = request.model.model
        path = (
            f"v1beta1/projects/{self._project}/locations/{self._location}"
            f"/publishers/google/models/{segment(model)}:generateContent"
        )
        body = body_of(request, self.capabilities(model))
        return read_completion(self._transport.post(path, body, request.timeout_s), model)

    def close(self) -> None:
        self._transport.close()
        if self._google is not None:
            self._google.close()


def host(location: str) -> str:
    """The host of a location: global, a multi-region's, or a region's own."""
    if location == "global":
        return HOST
    if location in MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-{HOST}"
