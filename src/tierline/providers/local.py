"""`local:` models: llama.cpp servers on this machine, which speak Chat Completions.

TIERLINE_LOCAL_URL names one server for every model, or `model=url` pairs separated by commas.
"""

from tierline.model_urls import ANY, local_urls
from tierline.providers.openai_chat import chat_body, read_completion
from tierline.providers.transport import Transport
from tierline.providers.types import CallFailed, Cause, Completion, CompletionRequest
from tierline.settings import Settings

MOST_LOGPROBS = 500


class Local:
    """The embedded model servers."""

    def __init__(self, settings: Settings) -> None:
        key = settings.local_api_key
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._transports = {
            model: Transport(url, headers, settings.max_answer_bytes)
            for model, url in local_urls(settings.local_url).items()
        }

    def missing(self) -> str | None:
        return None if self._transports else "TIERLINE_LOCAL_URL is not set: no local model runs"

    def complete(self, request: CompletionRequest) -> Completion:
        transport = self._transports.get(request.model.model) or self._transports.get(ANY)
        if transport is None:
            reason = self.missing() or f"no local server runs {request.model.model}"
            raise CallFailed(Cause.NOT_CONFIGURED, reason)
        body = chat_body(request, most_logprobs=MOST_LOGPROBS)
        reply = transport.post("chat/completions", body, request.timeout_s)
        return read_completion(reply, request.model.model)

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()
