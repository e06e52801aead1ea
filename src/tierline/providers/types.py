"""Requests to models and their answers, for all wire formats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tierline.base.errors import TierlineError
from tierline.base.model_ref import ModelRef
from tierline.base.usage import Usage
from tierline.features.prompts import Message
from tierline.rules.causes import Cause
from tierline.rules.retries import Retry
from tierline.rules.verdicts import Verdict


@dataclass(frozen=True)
class TokenLogprob:
    """One candidate for one token of the answer."""

    token: str
    logprob: float  # natural logarithm


@dataclass(frozen=True)
class CompletionRequest:
    """One call."""

    model: ModelRef
    messages: Sequence[Message]
    max_tokens: int  # visible output; a reasoning model gets its allowance on top
    temperature: float
    timeout_s: float  # for the whole call, from connecting to the last byte
    json_schema: Mapping[str, Any] | None = None  # constrains the answer if the provider can
    top_logprobs: int | None = None  # number of candidates per token
    seed: int | None = None
    reasoning_effort: str | None = None  # one of features.model.EFFORTS; None: the model's default
    service_tier: str | None = None  # one of features.model.SERVICE_TIERS; None: not sent


@dataclass(frozen=True)
class Completion:
    """One answer."""

    text: str
    usage: Usage | None
    finish: Verdict | None  # None: a normal end; else truncated or refused
    model: str  # the exact id that answered
    latency_s: float
    provider_request_id: str | None = None
    service_tier: str | None = None  # as the provider reported it
    top_logprobs: Sequence[Sequence[TokenLogprob]] | None = None  # per token of the answer


class CallFailed(TierlineError):
    """A call without an answer. `reason` says why, without any content, key or address."""

    def __init__(
        self,
        cause: Cause,
        reason: str,
        *,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
        latency_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason
        self.retry_after_s = retry_after_s  # the wait that the provider asked for
        self.should_retry = should_retry  # the provider's advice on retries; None: none
        self.latency_s = latency_s

    @property
    def verdict(self) -> Verdict:
        return self.cause.verdict

    @property
    def retry(self) -> Retry:
        return self.cause.retry.as_advised(self.should_retry, maybe_billed=self.maybe_billed)

    @property
    def retryable(self) -> bool:
        return self.retry is not Retry.NEVER

    @property
    def maybe_billed(self) -> bool:
        return self.cause.served is None

    @property
    def served(self) -> bool | None:
        return self.cause.served


def require(missing: str | None) -> None:
    """Raises CallFailed if a setting of the provider is missing."""
    if missing is not None:
        raise CallFailed(
            Cause.NOT_CONFIGURED, f"{missing}: set it in the environment of the workers"
        )


@dataclass(frozen=True)
class Capabilities:
    """What one model accepts and reports at one provider."""

    structured_output: bool = True  # answers can be constrained by a JSON Schema
    most_logprobs: int = 0  # candidates reported per token; 0: none
    temperature: bool = True  # accepts the parameter
    seed: bool = True
    reasoning: bool = False  # thinks before it answers, so it needs a higher token limit
    most_output_tokens: int | None = None  # of one call, thoughts included; None: unknown
    efforts: tuple[str, ...] = ()  # the supported values of EFFORTS
    service_tiers: tuple[str, ...] = ()  # the supported values of SERVICE_TIERS


class Provider(Protocol):
    """A wire format and its server."""

    def complete(self, request: CompletionRequest) -> Completion:
        """One call. Raises CallFailed."""

    def missing(self) -> str | None:
        """What must be set before it can be used; None if nothing is missing."""

    def capabilities(self, model: str) -> Capabilities:
        """What it can do with that model, as far as is known."""

    def close(self) -> None:
        """Close its connections."""
