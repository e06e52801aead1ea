"""Whether a call may be sent now, and what its end says about the model.

Three things may forbid it: the model's context, its circuit, and its limits per minute.
"""

from dataclasses import dataclass
from typing import Any

from psycopg_pool import ConnectionPool

from tierline.base.settings import Settings
from tierline.base.usage import Usage
from tierline.features import ModelRef
from tierline.providers.types import CallFailed, CompletionRequest
from tierline.rules.causes import Cause
from tierline.rules.retries import Retry
from tierline.services.calls.circuits import Circuits, Entry
from tierline.services.calls.rate_limits import CountedCall, RateLimits
from tierline.services.features.model_objections import sold_model

BYTES_PER_TOKEN = 4  # of a prompt, about
MOST_BYTES_PER_TOKEN = 8
"""No text that people write is so dense. A prompt that is too long even so is not sent. One that
may or may not fit is: the provider's refusal costs nothing."""


@dataclass(frozen=True)
class Ticket:
    """A call that may be sent."""

    entry: Entry
    counted: CountedCall | None
    cut_short: bool  # its job's deadline left it less time than its tier gives


class Admission:
    """One per worker process, shared by its threads."""

    def __init__(self, pool: ConnectionPool[Any], settings: Settings) -> None:
        self.circuits = Circuits(pool)
        self._limits = RateLimits(pool, settings)
        self._contexts: dict[ModelRef, int | None] = {}

    def enter(self, request: CompletionRequest, tier_timeout_s: float) -> Ticket:
        """Permission to send the request. Raises CallFailed, with the time to wait, if refused.

        `tier_timeout_s`: the tier's own timeout; the request's is shorter if the job's deadline is
        near.
        """
        self._refuse_too_long(request)
        model = str(request.model)
        entry = self.circuits.enter(model, request.timeout_s)
        try:
            counted = self._limits.take(model, _tokens(request))
        except CallFailed as failure:
            self.circuits.give_back(entry)
            self.circuits.pause(model, failure.retry_after_s)
            raise
        return Ticket(entry, counted, request.timeout_s < tier_timeout_s)

    def _refuse_too_long(self, request: CompletionRequest) -> None:
        if request.model not in self._contexts:
            sold = sold_model(request.model)
            self._contexts[request.model] = None if sold is None else sold.context_tokens
        context = self._contexts[request.model]
        if context is not None and _size(request) // MOST_BYTES_PER_TOKEN > context:
            reason = f"not sent: the input is longer than the model's context of {context} tokens"
            raise CallFailed(Cause.CONTEXT, reason)

    def answered(self, ticket: Ticket, usage: Usage | None) -> None:
        """The call was answered."""
        self.circuits.leave(ticket.entry, None)
        if ticket.counted is not None:
            self._limits.settle(ticket.counted, None if usage is None else _sum(usage))

    def crashed(self, ticket: Ticket) -> None:
        """An error of ours, which says nothing about the model."""
        self.circuits.give_back(ticket.entry)

    def failed(self, ticket: Ticket, failure: CallFailed) -> CallFailed:
        """The call gave no answer. Returns the failure that counts for the job."""
        self.circuits.leave(ticket.entry, failure, cut_short=ticket.cut_short)
        if ticket.counted is not None and failure.served is False:
            self._limits.settle(ticket.counted, 0)
        if ticket.entry.probe is not None and failure.retry is Retry.AGAIN:
            # A probe, and surely not served: it uses up no try of its job.
            return CallFailed(Cause.CIRCUIT_OPEN, failure.reason, latency_s=failure.latency_s)
        return failure


def _tokens(request: CompletionRequest) -> int:
    """A call's tokens as providers count them beforehand: its prompt and the longest answer."""
    return _size(request) // BYTES_PER_TOKEN + request.max_tokens


def _size(request: CompletionRequest) -> int:
    """Of all messages, in bytes of UTF-8."""
    return sum(len(message.content.encode()) for message in request.messages)


def _sum(usage: Usage) -> int | None:
    counts = [count for count in vars(usage).values() if count is not None]
    return sum(counts) if counts else None
