"""`local:` models: llama.cpp servers on this machine, over Chat Completions.

TIERLINE_LOCAL_URL lists them: `model=url` pairs separated by commas, or one URL for every model. A
model with several servers has several pairs.

`up` starts a model when a feature first names it, and loading it takes seconds. So the first calls
wait for it.
"""

import time
from dataclasses import replace

from tierline.base.network.model_urls import ANY, local_urls
from tierline.base.settings import Settings
from tierline.providers.chat_completions import ask
from tierline.providers.http.balanced import Balanced
from tierline.providers.http.transport import Transport
from tierline.providers.self_hosted import LLAMA_CPP, LLAMA_CPP_CAN
from tierline.providers.types import (
    CallFailed,
    Capabilities,
    Completion,
    CompletionRequest,
)
from tierline.rules.causes import Cause

STARTS_WITHIN_S = 60.0  # from a process's first call to a model
AGAIN_S = 0.5
NOT_STARTED = (Cause.UNREACHABLE, Cause.OVERLOADED)  # the second: it loads its model


class Local:
    """The embedded model servers."""

    def __init__(self, settings: Settings) -> None:
        key = settings.local_api_key
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._servers = {
            model: Balanced(
                [
                    Transport(url, headers, settings.max_answer_bytes, setting="TIERLINE_LOCAL_URL")
                    for url in urls
                ]
            )
            for model, urls in local_urls(settings.local_url).items()
        }
        self._starts_until_s: dict[str, float] = {}  # monotonic, of each model that was called

    def missing(self) -> str | None:
        return None if self._servers else "TIERLINE_LOCAL_URL is not set: no local model runs"

    def capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - one kind of server
        return LLAMA_CPP_CAN

    def complete(self, request: CompletionRequest) -> Completion:
        servers = self._servers.get(request.model.model) or self._servers.get(ANY)
        if servers is None:
            reason = self.missing() or f"no local server runs {request.model.model}"
            raise CallFailed(Cause.NOT_CONFIGURED, reason)
        model, ends_at_s = request.model.model, time.monotonic() + request.timeout_s
        starts_until_s = self._starts_until_s.setdefault(model, time.monotonic() + STARTS_WITHIN_S)
        while True:
            left_s = ends_at_s - time.monotonic()
            try:
                completion = ask(
                    servers, replace(request, timeout_s=left_s), LLAMA_CPP, LLAMA_CPP_CAN
                )
            except CallFailed as failure:
                may_start = min(ends_at_s, starts_until_s) > time.monotonic() + AGAIN_S
                if failure.cause not in NOT_STARTED or not may_start:
                    raise
                time.sleep(AGAIN_S)
            else:
                self._starts_until_s[model] = 0.0  # it has started
                return completion

    def close(self) -> None:
        for servers in self._servers.values():
            servers.close()
