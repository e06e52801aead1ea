"""`gemini:` models over AI Studio; uses GOOGLE_API_KEY, else GEMINI_API_KEY.

There are no logprobs: the format has the fields, but AI Studio's current models refuse them. Vertex
supports them.
"""

from tierline.base.settings import Settings
from tierline.providers.generate_content import body_of, capabilities, read_completion
from tierline.providers.http.segments import segment
from tierline.providers.http.transport import Transport
from tierline.providers.types import (
    Capabilities,
    Completion,
    CompletionRequest,
    require,
)


class Gemini:
    """Google's Gemini API, or another server in its place."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.google_api_key or settings.gemini_api_key
        headers = {}
        if self._key is not None:
            headers["x-goog-api-key"] = self._key.get_secret_value()
        self._transport = Transport(
            settings.gemini_base_url,
            headers,
            settings.max_answer_bytes,
            setting="GOOGLE_GEMINI_BASE_URL",
        )

    def missing(self) -> str | None:
        return "neither GEMINI_API_KEY nor GOOGLE_API_KEY is set" if self._key is None else None

    def capabilities(self, model: str) -> Capabilities:
        return capabilities("gemini", model, most_logprobs=0)

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        model = request.model.model
        body = body_of(request, self.capabilities(model))
        body["store"] = False
        path = f"v1/models/{segment(model)}:generateContent"
        return read_completion(self._transport.post(path, body, request.timeout_s), model)

    def close(self) -> None:
        self._transport.close()
