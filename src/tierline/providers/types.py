"""What is asked of a model and what comes back, whatever its wire format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
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


class Cause(Enum):
    """Whose failure a call without an answer is, and so what is done about it.

    Each: the attempt's verdict; whether the same call may do better later; whether the provider may
    bill it (False: surely not, True: surely, None: unknown).
    """

    # Surely not served: asked again as often as it takes, or later.
    RATE_LIMITED = Verdict.RATE_LIMITED, True, False  # 429: come back later
    OVERLOADED = Verdict.PROVIDER_ERROR, True, False  # 503, 529, and what asks for the same again
    UNREACHABLE = Verdict.PROVIDER_ERROR, True, False  # no connection was made

    # May have been served.
    SERVER = Verdict.PROVIDER_ERROR, True, None  # 408, other 5xx, a connection that broke
    TIMEOUT = Verdict.TIMEOUT, True, None  # no whole answer inside the deadline
    UNREADABLE = (
        Verdict.PROVIDER_ERROR,
        True,
        None,
    )  # an answer that is none: not JSON, cut, too long

    # The operator's to mend: the same call fails the same way until then.
    NOT_CONFIGURED = Verdict.PROVIDER_ERROR, False, False  # no key, no address
    KEY = Verdict.PROVIDER_ERROR, False, False  # 401, 403
    QUOTA = Verdict.PROVIDER_ERROR, False, False  # paid up to here, or until tomorrow
    MODEL = Verdict.PROVIDER_ERROR, False, False  # the provider has no such model

    # The request's own: no other try of it does better.
    REQUEST = Verdict.PROVIDER_ERROR, False, False  # 400, 413, 422
    CONTEXT = Verdict.PROVIDER_ERROR, False, False  # longer than the model's context
    NO_ANSWER = Verdict.PROVIDER_ERROR, False, True  # it stopped for a reason that is no answer
    TOO_LATE = Verdict.TIMEOUT, False, False  # the job's deadline passed before it was sent

    def __init__(self, verdict: Verdict, retryable: bool, served: bool | None) -> None:
        self.verdict = verdict
        self.retryable = retryable
        self.served = served

    def __new__(cls, *_: object) -> "Cause":
        # Members with the same consequences are still different causes: each is its own value.
        cause = object.__new__(cls)
        cause._value_ = len(cls.__members__)
        return cause


class CallFailed(TierlineError):
    """A call that gave no answer. `reason` says why without any content, key or address."""

    def __init__(
        self,
        cause: Cause,
        reason: str,
        *,
        retry_after_s: float | None = None,
        latency_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason
        self.retry_after_s = retry_after_s  # what the provider asked for
        self.latency_s = latency_s

    @property
    def verdict(self) -> Verdict:
        return self.cause.verdict

    @property
    def retryable(self) -> bool:
        return self.cause.retryable

    @property
    def served(self) -> bool | None:
        return self.cause.served


class Provider(Protocol):
    """A wire format and where it is spoken."""

    def complete(self, request: CompletionRequest) -> Completion:
        """One call. Raises CallFailed."""

    def missing(self) -> str | None:
        """What must be set before it can be used; None when nothing is missing."""

    def close(self) -> None:
        """Close its connections."""
