"""Ending an attempt: what becomes of the job, written once, under whatever happened meanwhile."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.features import Feature, Tier
from tierline.rules.jobs import JobState, Outcome, Route, Status, Transition, next_state
from tierline.rules.queues import lane
from tierline.services.webhooks.announce import announce
from tierline.storage.db.repeat import repeat
from tierline.storage.jobs.claims import Claim, Ended, Settlement, Standing, finish, standing

log = structlog.get_logger(__name__)


def settle(
    pool: ConnectionPool[Any],
    taken: Claim,
    feature: Feature,
    route: Route,
    outcome: Outcome,
    ended: Ended,
    settled: Settlement,
    *,
    keep_on: Callable[[], bool],
) -> Transition | None:
    """Write how the attempt ended. Returns the transition; None when the job is another's by now.

    Decides on the job as it was claimed and writes on condition that this still holds; where a
    cancel, a deadline or a new webhook came between, it decides anew on what it finds. The cost of
    the last call is booked in every case.
    """
    assumed = Standing(
        status=Status.IN_PROGRESS,
        token=taken.token,
        cancel_requested=taken.cancel_requested,
        deadline_passed=False,
        hooked=taken.hooked,
        verdict=None,
    )
    while True:
        transition = next_state(_state(taken, assumed), outcome, route)
        after = transition.job
        tier = feature.tiers[after.tier_index].name
        queue = lane(
            feature.place(after.tier_index),
            backfill=taken.backfill,
            quarantined=after.quarantined,
        )
        told = _event(transition, feature.tiers[taken.tier_index])
        event = told if assumed.hooked else None

        def write(
            connection: Connection[Any],
            transition: Transition = transition,
            assumed: Standing = assumed,
            tier: str = tier,
            queue: str = queue,
            silent: bool = told is None,
            event: str | None = event,
        ) -> bool:
            # The statement alone is a transaction; only with deliveries beside it does it need one,
            # whose BEGIN and COMMIT are two round trips more.
            with connection.transaction() if event is not None else nullcontext():
                applied = finish(
                    connection,
                    taken,
                    tier=tier,
                    queue=queue,
                    transition=transition,
                    assumed=assumed,
                    ended=ended,
                    settled=settled,
                    announced=event is not None or silent,
                )
                if applied and event is not None:
                    announce(connection, event, taken.job_id)
            return applied

        if repeat(pool, write, keep_on=keep_on):
            return transition
        found = repeat(pool, lambda connection: standing(connection, taken), keep_on=keep_on)
        if found is None or found.token != taken.token:
            log.info("answer_dropped", job_id=str(taken.job_id), attempt=taken.attempt)
            return None
        if found.verdict == ended.verdict:
            return transition  # the write had landed before its connection was cut
        if found.status is not Status.IN_PROGRESS:
            return None
        assumed = replace(found, verdict=None)


def _state(taken: Claim, assumed: Standing) -> JobState:
    return JobState(
        status=assumed.status,
        tier_index=taken.tier_index,
        failures=taken.failures,
        losses=taken.losses,
        maybe_billed=taken.maybe_billed,
        held_s=taken.held_s,
        cancel_requested=assumed.cancel_requested,
        deadline_passed=assumed.deadline_passed,
        earlier_answer=taken.earlier is not None and taken.earlier.understood,
    )


def _event(transition: Transition, tier: Tier) -> str | None:
    """The webhook event that a transition is, if it is one: a micro tier's doubt costs its caller
    no time, so that nobody is told of it.
    """
    if transition.terminal:
        return f"job.{transition.job.status}"
    if transition.escalation_reason is None or tier.is_micro:
        return None
    return "job.escalated"
