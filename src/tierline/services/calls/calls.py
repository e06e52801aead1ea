"""The calls of one attempt: each is booked before it is sent and settled once, with what it cost.

The claim has booked the first one; each later one is booked in the statement that settles the one
before; the last is settled by the statement that ends the attempt.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.features import ModelRef, Tier
from tierline.features.prompts import Message
from tierline.pricing import Asked, cost_usd, price_of
from tierline.providers import Completion, CompletionRequest, provider
from tierline.providers.types import CallFailed, Usage
from tierline.routing.fingerprint import answerer
from tierline.rules.causes import Cause
from tierline.rules.purposes import purpose_of_call
from tierline.rules.retries import decisive
from tierline.services.calls.admission import Admission, Ticket
from tierline.services.jobs.trace import Trace
from tierline.services.money.budgets import Purse
from tierline.services.money.prices import BOOK
from tierline.storage.db.repeat import repeat
from tierline.storage.jobs.claims import Claim, Settlement, settle_and_book

log = structlog.get_logger(__name__)

NOTHING = Decimal(0)
NOT_REPORTED = Usage(input_tokens=None, output_tokens=None)
MOST_WAIT_S = 120.0
"""How long an attempt waits in all for a rate limit behind calls that were answered. To give its
job back would pay for these again, and where a limit lets one call through at a time, without end.
"""
LOOK_S = 0.5  # how late a wait sees that its process stops
LEAST_CALL_S = 0.05  # with less than this left to the deadline a call is not worth sending


class CallBook:
    """Sends the calls of one attempt and keeps their books.

    A call goes to the tier's models in order of fallback: when one fails, the next is asked, and
    the later calls of the attempt start with the one that answered.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any],
        taken: Claim,
        tier: Tier,
        admission: Admission,
        keep_on: Callable[[], bool],
        trace: Trace | None = None,
    ) -> None:
        self._pool = pool
        self._taken = taken
        self._tier = tier
        self._admission = admission
        self._keep_on = keep_on
        self._trace = trace
        self._models = list(tier.models)
        self._failures: list[CallFailed] = []
        self._deadline = None if taken.remaining_s is None else time.monotonic() + taken.remaining_s
        self._open: Settlement | None = None
        self._answerers: set[str] = set()
        self._purse = Purse(pool, taken, keep_on)
        self._may_wait_s = MOST_WAIT_S

    @property
    def unsettled(self) -> Settlement:
        """The last call, for the statement that ends the attempt to settle."""
        if self._open is not None:
            return self._open
        first = self._taken.first_call
        return Settlement(
            number=1,
            purpose=first.purpose,
            model=first.model,
            latency_s=0.0,
            cost_usd=NOTHING,
            error="not sent",
        )

    @property
    def answerers(self) -> frozenset[str]:
        """Who answered its calls so far."""
        return frozenset(self._answerers)

    @property
    def maybe_billed(self) -> int:
        """Calls that gave no answer and may have been billed, or surely were."""
        return sum(failure.served is not False for failure in self._failures)

    def answered_here(self, model: str, latency_s: float) -> None:
        """Note that the worker itself answered, as `model`: nothing was sent or is owed."""
        asked = str(self._tier.models[0])
        self._answerers.add(answerer(asked, model))
        self._open = Settlement(
            number=1,
            purpose=self._taken.first_call.purpose,
            model=asked,
            latency_s=latency_s,
            answered_model=model,
            cost_usd=NOTHING,
        )

    def complete(
        self,
        purpose: str,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        seed: int | None = None,
    ) -> Completion:
        """Ask the tier's models in turn. Raises the CallFailed that decides when all fail."""
        purpose = purpose_of_call(self._taken.first_call.purpose, purpose)
        models, failed_before = list(self._models), len(self._failures)
        while True:
            model = self._models[0]
            request = CompletionRequest(
                model=model,
                messages=messages,
                max_tokens=max_tokens or self._tier.max_tokens,
                temperature=self._tier.temperature if temperature is None else temperature,
                timeout_s=self._time_left(),
                json_schema=json_schema,
                top_logprobs=top_logprobs,
                seed=seed,
                reasoning_effort=self._tier.reasoning_effort,
                service_tier=self._tier.service_tier,
            )
            try:
                completion = self._send(purpose, model, request)
            except CallFailed as failure:
                self._failures.append(failure)
                if len(self._models) == 1:
                    decided = decisive(self._failures)
                    if not self._waited_for(decided):
                        raise decided from None
                    self._models = list(models)
                    del self._failures[failed_before:]
                    continue
                del self._models[0]
                log.info(
                    "fallback",
                    job_id=str(self._taken.job_id),
                    failed=str(model),
                    verdict=failure.verdict,
                    next=str(self._models[0]),
                )
            else:
                if self._trace is not None:
                    self._trace.note(purpose, messages, completion)
                return completion

    def _waited_for(self, failure: CallFailed) -> bool:
        """Wait as long as a rate limit asks for, if calls were answered that a hold would repeat.

        False: it is not worth it, or not to be done.
        """
        wait_s = failure.retry_after_s
        if (
            failure.cause is not Cause.RATE_LIMITED
            or wait_s is None
            or not self._answerers
            or self.maybe_billed
            or wait_s > self._may_wait_s
        ):
            return False
        now_s = time.monotonic()
        until_s = now_s + max(wait_s, LEAST_CALL_S)
        if self._deadline is not None and until_s + LEAST_CALL_S > self._deadline:
            return False
        self._may_wait_s -= until_s - now_s
        while self._keep_on():
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return True
            time.sleep(min(left_s, LOOK_S))
        return False

    def _time_left(self) -> float:
        if self._deadline is None:
            return self._tier.timeout_s
        left_s = self._deadline - time.monotonic()
        if left_s < LEAST_CALL_S:
            raise CallFailed(Cause.TOO_LATE, "the job's deadline has passed")
        return min(self._tier.timeout_s, left_s)

    def _send(self, purpose: str, model: ModelRef, request: CompletionRequest) -> Completion:
        own = BOOK.own(self._pool, self._keep_on)
        number = self._book(purpose, str(model))
        asked_at = datetime.now(UTC)
        started = time.monotonic()
        ticket: Ticket | None = None
        try:
            if self._taken.budgeted:
                terms = Asked(asked_at, request.service_tier)
                at_most = price_of(model, terms, self._tier.prices, own)
                paid = bool(self._answerers) or self.maybe_billed > 0
                self._purse.reserve(number, request, at_most, answered=paid)
            ticket = self._admission.enter(request, self._tier.timeout_s)
            completion = provider(model.provider).complete(request)
            latency_s = time.monotonic() - started
            self._admission.answered(ticket, completion.usage)
        except CallFailed as failure:
            latency_s = time.monotonic() - started
            if ticket is not None:
                failure = self._admission.failed(ticket, failure)
            self._open = Settlement(
                number=number,
                purpose=purpose,
                model=str(model),
                latency_s=latency_s,
                cost_usd=NOTHING if failure.served is False else None,
                error=f"{failure.verdict}: {failure.reason}",
            )
            self._purse.settle(number, self._open.cost_usd)
            raise failure from None
        except Exception:
            # An error of ours, perhaps over an answer that is there: nobody knows what it cost.
            if ticket is not None:
                self._admission.crashed(ticket)
            self._open = Settlement(
                number=number,
                purpose=purpose,
                model=str(model),
                latency_s=time.monotonic() - started,
                cost_usd=None,
                error="internal error",
            )
            self._purse.settle(number, None)
            raise
        self._answerers.add(answerer(str(model), completion.model))
        usage = completion.usage or NOT_REPORTED
        served = completion.service_tier or self._tier.service_tier  # as asked, where not told
        asked = Asked(asked_at, served, completion.model)
        price = price_of(model, asked, self._tier.prices, own)
        self._open = Settlement(
            number=number,
            purpose=purpose,
            model=str(model),
            latency_s=latency_s,
            answered_model=completion.model,
            **vars(usage),
            cost_usd=cost_usd(completion.usage, price, latency_s),
            provider_request_id=completion.provider_request_id,
            service_tier=completion.service_tier,
        )
        self._purse.settle(number, self._open.cost_usd)
        return completion

    def _book(self, purpose: str, model: str) -> int:
        """The number of the next call, which is committed as booked when this returns."""
        settled = self._open
        if settled is None:
            return 1  # the claim booked it
        repeat(
            self._pool,
            lambda connection: settle_and_book(connection, self._taken, settled, purpose, model),
            keep_on=self._keep_on,
        )
        self._open = None
        return settled.number + 1
