"""`openai:` models; uses OPENAI_API_KEY, and OPENAI_BASE_URL for another server of the format."""

import re
from urllib.parse import urlsplit

from tierline.base.settings import Settings
from tierline.features.model import SERVICE_TIERS
from tierline.providers.capabilities import with_catalogue
from tierline.providers.chat_completions import Dialect, ask
from tierline.providers.http.transport import Transport
from tierline.providers.types import (
    Capabilities,
    Completion,
    CompletionRequest,
    require,
)

OPENAI_HOST = re.compile(r"(?:[a-z]{2}\.)?api\.openai\.com")  # eu.api.openai.com is regional
REASONS = re.compile(r"(gpt-[5-9](?!.*chat)|o[1-9])")  # models that think first: no temperature
AT_OPENAI = Dialect(
    limit="max_completion_tokens",
    extra={"store": False},  # do not store the answer for the dashboard
)
ELSEWHERE = Dialect()

_LINE = re.compile(r"gpt-(?P<major>[0-9]{1,2})(?:\.(?P<minor>[0-9]{1,2}))?(?:-|$)")
_USUAL = ("low", "medium", "high")


class OpenAI:
    """OpenAI, or another server in its place."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.openai_api_key
        host = urlsplit(settings.openai_base_url).hostname or ""
        self._is_openai = OPENAI_HOST.fullmatch(host) is not None
        self.dialect = AT_OPENAI if self._is_openai else ELSEWHERE
        headers = {}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        if settings.openai_org_id is not None:
            headers["OpenAI-Organization"] = settings.openai_org_id
        if settings.openai_project_id is not None:
            headers["OpenAI-Project"] = settings.openai_project_id
        self._transport = Transport(
            settings.openai_base_url, headers, settings.max_answer_bytes, setting="OPENAI_BASE_URL"
        )

    def missing(self) -> str | None:
        if self._key is None and self._is_openai:
            return "OPENAI_API_KEY is not set"
        return None

    def capabilities(self, model: str) -> Capabilities:
        return with_catalogue("openai", model, by_name(model))

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        return ask(self._transport, request, self.dialect, self.capabilities(request.model.model))

    def close(self) -> None:
        self._transport.close()


def by_name(model: str) -> Capabilities:
    """What OpenAI's models can do, by the model line in their name."""
    thinks = REASONS.match(model) is not None
    return Capabilities(
        most_logprobs=0 if thinks else 20,
        temperature=not thinks,
        seed=not thinks,
        reasoning=thinks,
        efforts=efforts_of(model) if thinks else (),
        service_tiers=SERVICE_TIERS,
    )


def efforts_of(model: str) -> tuple[str, ...]:
    """The efforts that a reasoning model supports.

    Sources, read 2026-11-27: learn.microsoft.com, @azure/ai-projects, ReasoningEffort (before 5.1,
    5.1, gpt-5-pro, xhigh); docs.rs/meerkat-core, capabilities of OpenAI (no minimal since 5.1, none
    for Codex); github.com/anomalyco/opencode/issues/36141 (max since 5.6). Later lines are treated
    like 5.6.
    """
    match = _LINE.match(model)
    if match is None:
        return _USUAL  # the o-series
    version = (int(match["major"]), int(match["minor"] or 0))
    if version < (5, 1):
        return ("high",) if "-pro" in model else ("minimal", *_USUAL)
    more = tuple(
        effort for effort, since in (("xhigh", (5, 2)), ("max", (5, 6))) if version >= since
    )
    if model.startswith("gpt-5.1-codex-max"):
        more = ("xhigh",)
    without = "codex" in model or "-pro" in model  # these always reason
    return (*_USUAL, *more) if without else ("none", *_USUAL, *more)
