"""`mistral:` models; uses MISTRAL_API_KEY.

Source of the format: the types of Mistral's client, 3.7.0. The seed is `random_seed`, and an answer
may also end with `model_length` (the context is full) or `error`.
"""

from tierline.base.settings import Settings
from tierline.providers.capabilities import with_catalogue
from tierline.providers.chat_completions import FINISHED, Dialect, ask
from tierline.providers.http.transport import Transport
from tierline.providers.types import (
    Capabilities,
    Completion,
    CompletionRequest,
    require,
)
from tierline.rules.verdicts import Verdict

DIALECT = Dialect(
    seed="random_seed",
    extra={"stream": False},  # as its client sends it
    finished={**FINISHED, "model_length": Verdict.TRUNCATED},  # "error" is not an answer
    request_id="mistral-correlation-id",
)
# its client has the parameter but states no maximum, so a value that all servers accept
MOST_LOGPROBS = 5
ADJUSTABLE = ("mistral-small-2603", "mistral-small-latest", "mistral-medium-3-5")
"""Models that think on request: docs.mistral.ai, "Adjustable" (read 2026-11-27)."""
THINKS = ("magistral",)


class Mistral:
    """La Plateforme, or another server in its place."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.mistral_api_key
        headers = {}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        self._transport = Transport(
            settings.mistral_base_url,
            headers,
            settings.max_answer_bytes,
            setting="MISTRAL_BASE_URL",
        )

    def missing(self) -> str | None:
        return "MISTRAL_API_KEY is not set" if self._key is None else None

    def capabilities(self, model: str) -> Capabilities:
        can = Capabilities(
            most_logprobs=MOST_LOGPROBS,
            reasoning=model.startswith(THINKS),
            efforts=("none", "high") if model in ADJUSTABLE else (),
        )
        return with_catalogue("mistral", model, can)

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        return ask(self._transport, request, DIALECT, self.capabilities(request.model.model))

    def close(self) -> None:
        self._transport.close()
