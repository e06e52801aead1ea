"""The calls of one attempt: each is booked before it is sent and settled once, with what it cost.

The claim has booked the first one; each later one is booked in the statement that settles the one
before; the last is settled by the statement that ends the attempt.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.ids import time_of
from tierline.checks import CheckContext
from tierline.features import ModelRef, Tier
from tierline.features.prompts import Message
from tierline.pricing import OwnPrices
from tierline.providers import Completion, CompletionRequest, provider
from tierline.providers.types import CallFailed
from tierline.routing.thresholds.fingerprint import answerer
from tierline.rules.causes import Cause
from tierline.rules.purposes import purpose_of_call
from tierline.rules.retries import decisive
from tierline.services.calls.admission import Admission, Ticket
from tierline.services.calls.booked_call import BookedCall
from tierline.services.calls.custom_checks import custom_check
from tierline.services.calls.trace import Trace
from tierline.services.money.budgets import Purse
from tierline.services.money.prices import BOOK
from tierline.storage.db.repeat import repeat
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Settlement, settle_and_book

log = structlog.get_logger(__name__)

NOTHING = Decimal(0)
MOST_WAIT_S = 120.0
"""How long an attempt waits in all for rate limits after some of its calls were answered. Giving
the job back would repeat and pay for those calls; under a limit of one call at a time, without end.
"""
LOOK_S = 0.5  # how late a waiting attempt notices that its process stops
LEAST_CALL_S = 0.05  # with less than this left to the deadline a call is not worth sending


class CallBook:
    """Sends the calls of one attempt, and records what each cost.

    A call goes to the tier's models in order of fallback: if one fails, the next is called. The
    attempt's later calls start with the model that answered.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any],
        claim: Claim,
        tier: Tier,
        admission: Admission,
        keep_on: Callable[[], bool],
        trace: Trace | None = None,
    ) -> None:
        self._pool = pool
        self._claim = claim
        self._tier = tier
        self._admission = admission
        self._keep_on = keep_on
        self._trace = trace
        self._models = list(tier.models)
        self._failures: list[CallFailed] = []
        self._deadline = None if claim.remaining_s is None else time.monotonic() + claim.remaining_s
        self._open: Settlement | None = None
        self._answerers: set[str] = set()
        self._purse = Purse(pool, claim, keep_on)
        self._may_wait_s = MOST_WAIT_S
        self.check_context = CheckContext(time_of(claim.job_id), custom_check)

    @property
    def unsettled(self) -> Settlement:
        """How the last call ended, to be written by the statement that ends the attempt."""
        if self._open is not None:
            return self._open
        first = self._claim.first_call
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
        """Who answered the attempt's calls so far."""
        return frozenset(self._answerers)

    @property
    def maybe_billed(self) -> int:
        """Calls without an answer that were or may have been billed."""
        return sum(failure.served is not False for failure in self._failures)

    def answered_here(self, model: str, latency_s: float) -> None:
        """Note that the worker itself answered, as `model`: nothing was sent or is owed."""
        named_model = str(self._tier.models[0])
        self._answerers.add(answerer(named_model, model))
        self._open = Settlement(
            number=1,
            purpose=self._claim.first_call.purpose,
            model=named_model,
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
        """Ask the tier's models in turn. Raises the most retryable CallFailed if all fail."""
        purpose = purpose_of_call(self._claim.first_call.purpose, purpose)
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
                self._fall_back(failure, models, failed_before)
                continue
            if self._trace is not None:
                self._trace.note(purpose, messages, completion)
            return completion

    def _fall_back(
        self, failure: CallFailed, models: Sequence[ModelRef], failed_before: int
    ) -> None:
        """Go on with the next model; after the last, wait for a rate limit and start again.

        `models`, `failed_before`: the models left, and the failures so far, when the call began.
        Raises the most retryable failure if no model is left.
        """
        failed = self._models[0]
        if len(self._models) > 1:
            del self._models[0]
            log.info(
                "fallback",
                job_id=str(self._claim.job_id),
                failed=str(failed),
                verdict=failure.verdict,
                next=str(self._models[0]),
            )
            return
        decided = decisive(self._failures)
        if not self._waited_for(decided):
            raise decided from None
        self._models = list(models)
        del self._failures[failed_before:]

    def _waited_for(self, failure: CallFailed) -> bool:
        """Wait as long as a rate limit asks for, if answered calls would be repeated otherwise.

        False: there was no such wait, or it would take too long.
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
        call = BookedCall(self._book(purpose, str(model)), purpose, model)
        ticket: Ticket | None = None
        try:
            self._reserve(call, request, own)
            ticket = self._admission.enter(request, self._tier.timeout_s)
            completion = provider(model.provider).complete(request)
            latency_s = call.elapsed_s()
            self._admission.answered(ticket, completion.usage)
        except CallFailed as failure:
            latency_s = call.elapsed_s()
            if ticket is not None:
                failure = self._admission.failed(ticket, failure)
            cost = NOTHING if failure.served is False else None
            self._settle(call.failed(latency_s, cost, f"{failure.verdict}: {failure.reason}"))
            raise failure from None
        except Exception:
            # An error of ours, perhaps after the model answered: the cost is unknown.
            if ticket is not None:
                self._admission.crashed(ticket)
            self._settle(call.failed(call.elapsed_s(), None, "internal error"))
            raise
        self._answerers.add(answerer(str(model), completion.model))
        self._settle(call.answered(completion, latency_s, self._tier, own))
        return completion

    def _reserve(self, call: BookedCall, request: CompletionRequest, own: OwnPrices) -> None:
        """Reserve what the call may cost, if it is paid from a budget. Raises CallFailed."""
        if self._claim.budgeted:
            price = call.price(self._tier, own, request.service_tier)
            paid = bool(self._answerers) or self.maybe_billed > 0
            self._purse.reserve(call.number, request, price, answered=paid)

    def _settle(self, settlement: Settlement) -> None:
        """The call has ended: with its budget at once, in its row with the next statement."""
        self._open = settlement
        self._purse.settle(settlement.number, settlement.cost_usd)

    def _book(self, purpose: str, model: str) -> int:
        """The number of the next call, whose row is committed when this returns."""
        settled = self._open
        if settled is None:
            return 1  # the claim booked it
        repeat(
            self._pool,
            lambda connection: settle_and_book(connection, self._claim, settled, purpose, model),
            keep_on=self._keep_on,
        )
        self._open = None
        return settled.number + 1
