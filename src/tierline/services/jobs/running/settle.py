"""Settling an attempt: the job's transition is written once, whatever else happened to the job."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypedDict

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.features import Tier
from tierline.rules.jobs import JobState, Route, Status, Transition, next_state
from tierline.rules.queues import lane
from tierline.services.calls.attempt import Attempt
from tierline.services.jobs.running.attempt_end import AttemptEnd
from tierline.services.webhooks.announce import announce
from tierline.storage.db.repeat import repeat
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finish_together import Finish
from tierline.storage.jobs.finishes import (
    Ended,
    Settlement,
    Standing,
    finish,
    finish_parameters,
    standing,
)
from tierline.storage.reports.late_costs import LateCost, may_be_counted

Finishes = Callable[[Finish], bool]
"""Writes one finish together with those of other threads. False: it must be tried alone."""

log = structlog.get_logger(__name__)


def settle(
    pool: ConnectionPool[Any],
    attempt: Attempt,
    end: AttemptEnd,
    route: Route,
    last_call: Settlement,
    *,
    keep_on: Callable[[], bool],
    finishes: "Finishes | None" = None,
) -> Transition | None:
    """Write how the attempt ended. Returns the transition, or None if another attempt has the job.

    Decides on the job as it was claimed, and writes only if that state still holds. If a cancel, a
    deadline or a new webhook came in between, it decides again on the current state. The cost of
    the last call is kept in every case. `finishes`: what other threads write goes with it, if it
    can. Raises GaveUp.
    """
    claim = attempt.claim
    if may_be_counted(claim) and _settle_late(pool, attempt, last_call, keep_on=keep_on):
        return None
    assumed = _as_claimed(claim)
    transition = next_state(_state(claim, assumed), end.outcome, route)
    alone = end.ended.outcome is not None or (
        assumed.hooked and _event(transition, attempt.tier) is not None
    )
    if finishes is not None and not alone:
        parameters = _parameters(attempt, end, last_call, transition, assumed)
        if finishes(finish_parameters(claim, **parameters)):
            return transition
    while True:
        transition = next_state(_state(claim, assumed), end.outcome, route)

        def write(
            connection: Connection[Any],
            transition: Transition = transition,
            assumed: Standing = assumed,
        ) -> bool:
            return _write(connection, attempt, end, last_call, transition, assumed)

        if repeat(pool, write, keep_on=keep_on):
            return transition
        now = repeat(pool, lambda connection: standing(connection, claim), keep_on=keep_on)
        if now is None or now.token != claim.token:
            log.info("answer_dropped", job_id=str(claim.job_id), attempt=claim.attempt)
            return None
        if now.verdict == end.ended.verdict:
            return transition  # the first write was committed, and only its reply was lost
        if now.status is not Status.IN_PROGRESS:
            return None
        assumed = replace(now, verdict=None)


def _settle_late(
    pool: ConnectionPool[Any],
    attempt: Attempt,
    last_call: Settlement,
    *,
    keep_on: Callable[[], bool],
) -> bool:
    """Settle the last call of an old claim, also in the sums. Whether the job is removed by now."""
    late = LateCost(attempt.claim, attempt.tier.name, last_call)

    def write(connection: Connection[Any]) -> bool:
        with connection.transaction():
            return late.settle(connection)

    if repeat(pool, write, keep_on=keep_on):
        job_id = str(attempt.claim.job_id)
        log.warning("late_cost_added", job_id=job_id, attempt=attempt.claim.attempt)
    return late.removed


def _write(
    connection: Connection[Any],
    attempt: Attempt,
    end: AttemptEnd,
    last_call: Settlement,
    transition: Transition,
    assumed: Standing,
) -> bool:
    """True if the job was as assumed and the transition was written."""
    event = _event(transition, attempt.tier)
    announced = event if assumed.hooked else None
    # A single statement needs no explicit transaction. With deliveries beside it, it does, and
    # BEGIN and COMMIT cost two more round trips.
    with nullcontext() if announced is None else connection.transaction():
        parameters = _parameters(attempt, end, last_call, transition, assumed)
        applied = finish(connection, attempt.claim, **parameters)
        if applied and announced is not None:
            announce(connection, announced, attempt.claim.job_id)
    return applied


class _Parameters(TypedDict):
    """What `finish` is given."""

    tier: str
    queue: str
    transition: Transition
    assumed: Standing
    ended: Ended
    settled: Settlement
    announced: bool


def _parameters(
    attempt: Attempt,
    end: AttemptEnd,
    last_call: Settlement,
    transition: Transition,
    assumed: Standing,
) -> _Parameters:
    after = transition.job
    queue = lane(
        attempt.feature.place(after.tier_index),
        backfill=attempt.claim.backfill,
        quarantined=after.quarantined,
    )
    event = _event(transition, attempt.tier)
    return _Parameters(
        tier=attempt.feature.tiers[after.tier_index].name,
        queue=queue,
        transition=transition,
        assumed=assumed,
        ended=end.ended,
        settled=last_call,
        announced=event is None or assumed.hooked,
    )


def _as_claimed(claim: Claim) -> Standing:
    return Standing(
        status=Status.IN_PROGRESS,
        token=claim.token,
        cancel_requested=claim.cancel_requested,
        deadline_passed=False,
        hooked=claim.hooked,
        verdict=None,
    )


def _state(claim: Claim, assumed: Standing) -> JobState:
    return JobState(
        status=assumed.status,
        tier_index=claim.tier_index,
        failures=claim.failures,
        losses=claim.losses,
        maybe_billed=claim.maybe_billed,
        held_s=claim.held_s,
        cancel_requested=assumed.cancel_requested,
        deadline_passed=assumed.deadline_passed,
        earlier_answer=claim.earlier is not None and claim.earlier.understood,
    )


def _event(transition: Transition, tier: Tier) -> str | None:
    """The webhook event of a transition, or None. Escalating from a micro tier is no event, because
    it takes no time that a caller would notice.
    """
    if transition.terminal:
        return f"job.{transition.job.status}"
    if transition.escalation_reason is None or tier.is_micro:
        return None
    return "job.escalated"
