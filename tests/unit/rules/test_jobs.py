"""Every transition of a job, as the table of states has them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.rules.jobs import (
    QUARANTINE_AFTER,
    TERMINAL,
    Blocked,
    CancelRequested,
    CheckFailed,
    Claimed,
    DeadlinePassed,
    FeatureFailed,
    IllegalTransition,
    JobState,
    LeaseLost,
    Outcome,
    Passed,
    ProviderFailed,
    Released,
    Route,
    Status,
    next_state,
)
from tierline.rules.retries import Retry
from tierline.rules.verdicts import Verdict

ROUTE = Route(tiers=(0, 1), retries=3)
LAST = Route(tiers=(0,), retries=3)
QUEUED = JobState(Status.QUEUED, 0)
RUNNING = JobState(Status.IN_PROGRESS, 0)
WRONG = CheckFailed(Verdict.SCHEMA, "no total")
DOWN = ProviderFailed(Verdict.PROVIDER_ERROR, "503", wait_s=2.0)
BUSY = ProviderFailed(Verdict.RATE_LIMITED, "429", Retry.HOLD, wait_s=7.0)
HUNG = ProviderFailed(Verdict.TIMEOUT, "no answer", Retry.ONCE, maybe_billed=1, wait_s=1.0)


def test_a_claim_puts_a_queued_job_in_progress() -> None:
    assert next_state(QUEUED, Claimed(), ROUTE).job.status is Status.IN_PROGRESS


def test_a_passed_answer_completes_the_job_and_is_served() -> None:
    after = next_state(RUNNING, Passed(), ROUTE)
    assert (after.job.status, after.serve_answer, after.unverified) == (
        Status.COMPLETED,
        True,
        False,
    )


def test_a_failed_check_goes_to_the_next_tier_and_says_why() -> None:
    after = next_state(RUNNING, WRONG, ROUTE)
    assert after.job == JobState(Status.QUEUED, 1)
    assert after.escalation_reason == "schema: no total"
    assert after.error is None


def test_a_failed_check_on_the_last_tier_fails_the_job_and_serves_nothing() -> None:
    after = next_state(RUNNING, WRONG, LAST)
    assert after.job.status is Status.FAILED
    assert after.error is not None
    assert after.error.code == "checks_failed"
    assert not after.serve_answer


def test_an_unverified_answer_is_served_only_where_the_feature_asks_and_is_marked() -> None:
    after = next_state(RUNNING, WRONG, replace(LAST, on_blocked="return_unverified"))
    assert (after.job.status, after.serve_answer, after.unverified) == (
        Status.COMPLETED,
        True,
        True,
    )


def test_an_answer_that_could_not_be_read_is_not_served_unverified() -> None:
    unread = CheckFailed(Verdict.MALFORMED, "not JSON", understood=False)
    after = next_state(RUNNING, unread, replace(LAST, on_blocked="return_unverified"))
    assert after.job.status is Status.FAILED


def test_tiers_that_the_route_leaves_out_are_passed_over() -> None:
    after = next_state(RUNNING, WRONG, Route(tiers=(0, 2)))
    assert after.job.tier_index == 2


def test_a_provider_failure_is_tried_again_on_the_same_tier_after_its_wait() -> None:
    after = next_state(RUNNING, DOWN, ROUTE)
    assert after.job == JobState(Status.QUEUED, 0, failures=1)
    assert after.wait_s == 2.0


def test_a_provider_that_keeps_failing_is_left_for_the_next_tier() -> None:
    after = next_state(replace(RUNNING, failures=2), DOWN, ROUTE)
    assert after.job == JobState(Status.QUEUED, 1, failures=0)


def test_a_provider_that_keeps_failing_on_the_last_tier_fails_the_job_by_its_own_name() -> None:
    after = next_state(replace(RUNNING, failures=2), DOWN, LAST)
    assert after.error is not None
    assert (after.error.code, after.error.message) == ("provider_error", DOWN.reason)


def test_a_failure_that_a_retry_cannot_mend_is_not_tried_again() -> None:
    after = next_state(RUNNING, replace(DOWN, retry=Retry.NEVER), ROUTE)
    assert after.job.tier_index == 1


def test_a_rate_limit_waits_as_told_and_uses_up_no_try() -> None:
    after = next_state(replace(RUNNING, failures=2), BUSY, ROUTE)
    assert after.job == JobState(Status.QUEUED, 0, failures=2)
    assert after.wait_s == 7.0


def test_a_held_job_neither_escalates_nor_fails_before_its_patience_ends() -> None:
    almost = replace(RUNNING, held_s=ROUTE.hold_s - 1)
    after = next_state(almost, BUSY, ROUTE)
    assert (after.job.status, after.job.tier_index, after.held) == (Status.QUEUED, 0, True)


def test_a_job_that_was_held_for_too_long_fails_and_says_what_it_waited_for() -> None:
    after = next_state(replace(RUNNING, held_s=ROUTE.hold_s), BUSY, ROUTE)
    assert after.error is not None
    assert after.error.code == "rate_limited"
    assert after.error.message == "429; it waited for 24 h"


def test_a_call_that_may_have_been_billed_is_made_once_more() -> None:
    again = next_state(RUNNING, HUNG, ROUTE)
    assert again.job == JobState(Status.QUEUED, 0, failures=1, maybe_billed=1)
    moved = next_state(replace(again.job, status=Status.IN_PROGRESS), HUNG, ROUTE)
    assert moved.job == JobState(Status.QUEUED, 1)


def test_two_models_that_may_both_have_billed_are_not_asked_again() -> None:
    assert next_state(RUNNING, replace(HUNG, maybe_billed=2), ROUTE).job.tier_index == 1


def test_what_may_have_been_billed_is_remembered_through_a_hold() -> None:
    held = next_state(RUNNING, replace(BUSY, maybe_billed=1), ROUTE)
    assert held.job.maybe_billed == 1


def test_a_hold_is_no_way_around_the_limit_of_what_may_have_been_billed() -> None:
    for retry in (Retry.HOLD, Retry.OUTAGE):
        failed = replace(BUSY, retry=retry, maybe_billed=1)
        held = next_state(RUNNING, failed, ROUTE)
        assert held.held
        moved = next_state(replace(held.job, status=Status.IN_PROGRESS), failed, ROUTE)
        assert moved.job == JobState(Status.QUEUED, 1)


def test_a_feature_at_fault_fails_the_job_without_asking_another_tier() -> None:
    after = next_state(RUNNING, FeatureFailed("the rule errors"), ROUTE)
    assert after.error is not None
    assert after.error.code == "feature_error"


def test_a_lost_lease_queues_the_job_again() -> None:
    assert next_state(RUNNING, LeaseLost(), ROUTE).job == JobState(Status.QUEUED, 0, losses=1)


def test_after_its_second_loss_a_job_runs_alone() -> None:
    after = next_state(replace(RUNNING, losses=QUARANTINE_AFTER - 1), LeaseLost(), ROUTE)
    assert after.job.quarantined
    assert after.job.status is Status.QUEUED


def test_a_loss_in_quarantine_ends_the_job() -> None:
    after = next_state(replace(RUNNING, losses=QUARANTINE_AFTER), LeaseLost(), ROUTE)
    assert after.error is not None
    assert after.error.code == "worker_lost"


def test_a_job_that_is_given_back_counts_no_loss() -> None:
    assert next_state(RUNNING, Released(), ROUTE).job == QUEUED


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_only_asked() -> None:
    assert next_state(QUEUED, CancelRequested(), ROUTE).job.status is Status.CANCELLED
    transition = next_state(RUNNING, CancelRequested(), ROUTE)
    assert transition.job == replace(RUNNING, cancel_requested=True)
    assert not transition.terminal


@pytest.mark.parametrize("outcome", [WRONG, DOWN, BUSY, LeaseLost(), Released()])
def test_a_cancelled_job_does_not_go_on(outcome: Outcome) -> None:
    after = next_state(replace(RUNNING, cancel_requested=True), outcome, ROUTE)
    assert after.job.status is Status.CANCELLED


@pytest.mark.parametrize("outcome", [WRONG, DOWN, BUSY, LeaseLost(), Released()])
def test_a_job_past_its_deadline_does_not_go_on(outcome: Outcome) -> None:
    after = next_state(replace(RUNNING, deadline_passed=True), outcome, ROUTE)
    assert after.job.status is Status.EXPIRED


def test_an_answer_that_passed_wins_over_a_cancel_and_a_deadline() -> None:
    late = replace(RUNNING, cancel_requested=True, deadline_passed=True)
    assert next_state(late, Passed(), ROUTE).job.status is Status.COMPLETED


def test_a_cancel_wins_over_a_deadline() -> None:
    late = replace(RUNNING, cancel_requested=True, deadline_passed=True)
    assert next_state(late, WRONG, ROUTE).job.status is Status.CANCELLED


OUTCOMES: list[Outcome] = [
    Claimed(),
    Passed(),
    WRONG,
    DOWN,
    BUSY,
    HUNG,
    FeatureFailed("x"),
    LeaseLost(),
    Released(),
    CancelRequested(),
    DeadlinePassed(),
]


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_ended_job_takes_nothing_more(status: Status, outcome: Outcome) -> None:
    with pytest.raises(IllegalTransition):
        next_state(JobState(status, 0), outcome, ROUTE)


@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=60),
    tiers=st.integers(1, 4),
    retries=st.integers(1, 4),
)
def test_whatever_happens_a_job_never_goes_back_a_tier_and_ends_once(
    outcomes: list[Outcome], tiers: int, retries: int
) -> None:
    route = Route(tiers=tuple(range(tiers)), retries=retries)
    job = QUEUED
    for outcome in outcomes:
        try:
            after = next_state(job, outcome, route)
        except IllegalTransition:
            continue
        assert job.status not in TERMINAL
        assert after.job.tier_index >= job.tier_index
        assert after.job.losses >= job.losses
        assert after.serve_answer == (after.job.status is Status.COMPLETED)
        assert (after.error is not None) == (after.job.status is Status.FAILED)
        job = after.job


@pytest.mark.parametrize("verdict", [Verdict.BUDGET, Verdict.PLAN])
def test_what_may_not_be_paid_for_goes_to_no_later_tier(verdict: Verdict) -> None:
    blocked = Blocked(verdict, "nobody pays for it")
    route = replace(ROUTE, blocked=blocked)
    after = next_state(RUNNING, WRONG, route)
    assert (after.job.status, after.job.tier_index, after.blocked) == (Status.FAILED, 0, blocked)
    assert after.error is not None
    assert after.error.code == verdict
    served = next_state(RUNNING, WRONG, replace(route, on_blocked="return_unverified"))
    assert (served.job.status, served.serve_answer, served.unverified) == (
        *(Status.COMPLETED, True, True),
    )
    assert served.blocked == blocked
    refused = next_state(RUNNING, ProviderFailed(verdict, blocked.reason, Retry.NEVER), ROUTE)
    assert (refused.job.status, refused.job.tier_index) == (Status.FAILED, 0)
    assert refused.blocked == blocked
