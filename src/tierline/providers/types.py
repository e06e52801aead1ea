"""What is asked of a model and what comes back, whatever its wire format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tierline.errors import TierlineError
from tierline.features import ModelRef
from tierline.prompts import Message
from tierline.verdicts import Verdict


@dataclass(frozen=True)
class TokenLogprob:
    """One candidate for one token of the answer."""

    token: str
    logprob: float  # natural logarithm


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, in buckets that are priced apart; None where it was not reported."""

    input_tokens: int | None  # without the cached ones
    output_tokens: int | None  # with the reasoning ones
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class CompletionRequest:
    """One call."""

    model: ModelRef
    messages: Sequence[Message]
    max_tokens: int  # of visible output; a reasoning model gets its allowance on top
    temperature: float
    timeout_s: float  # for the whole call, from connecting to the last byte
    json_schema: Mapping[str, Any] | None = None  # constrains the answer where the provider can
    top_logprobs: int | None = None  # candidates wanted for each token
    seed: int | None = None


@dataclass(frozen=True)
class Completion:
    """One answer."""

    text: str
    usage: Usage | None
    finish: Verdict | None  # None: a normal end; else truncated or refused
    model: str  # the exact id that answered
    latency_s: float
    provider_request_id: str | None = None
    top_logprobs: Sequence[Sequence[TokenLogprob]] | None = None  # by token of the answer


class CallFailed(TierlineError):
    """A call that gave no answer. `reason` says why without any content, key or address."""

    def __init__(
        self,
        verdict: Verdict,
        reason: str,
        *,
        retry_after_s: float | None = None,
        retryable: bool = True,
        served: bool | None = None,
        latency_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.verdict = verdict  # timeout, rate_limited, provider_error
        self.reason = reason
        self.retry_after_s = retry_after_s  # what the provider asked for
        self.retryable = retryable  # whether the same call may do better later
        self.served = served  # whether it may be billed; None: unknown
        self.latency_s = latency_s


class Provider(Protocol):
    """A wire format and where it is spoken."""

    def complete(self, request: CompletionRequest) -> Completion:
        """One call. Raises CallFailed."""

    def missing(self) -> str | None:
        """What must be set before it can be used; None when nothing is missing."""

    def close(self) -> None:
        """Close its connections."""
