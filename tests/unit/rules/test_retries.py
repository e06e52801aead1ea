"""Which failures are tried again, and which of several decides."""

from dataclasses import dataclass

import pytest

from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause
from tierline.rules.retries import Retry, decisive


@dataclass(frozen=True)
class Failed:
    retry: Retry
    retry_after_s: float | None = None


@pytest.mark.parametrize(
    ("cause", "retry", "maybe_billed"),
    [
        (Cause.RATE_LIMITED, Retry.HOLD, False),
        (Cause.KEY, Retry.HOLD, False),
        (Cause.QUOTA, Retry.HOLD, False),
        (Cause.OVERLOADED, Retry.AGAIN, False),
        (Cause.UNREACHABLE, Retry.AGAIN, False),
        (Cause.SERVER, Retry.ONCE, True),
        (Cause.TIMEOUT, Retry.ONCE, True),
        (Cause.UNREADABLE, Retry.ONCE, True),
        (Cause.REQUEST, Retry.NEVER, False),
        (Cause.CONTEXT, Retry.NEVER, False),
        (Cause.NO_ANSWER, Retry.NEVER, False),
    ],
)
def test_what_was_surely_not_served_is_tried_again_and_what_may_be_billed_once(
    cause: Cause, retry: Retry, maybe_billed: bool
) -> None:
    failure = CallFailed(cause, "why")
    assert (failure.retry, failure.maybe_billed) == (retry, maybe_billed)


@pytest.mark.parametrize(
    ("cause", "message", "retry"),
    [
        (Cause.SERVER, False, Retry.NEVER),
        (Cause.OVERLOADED, False, Retry.NEVER),
        (Cause.REQUEST, True, Retry.AGAIN),
        (Cause.SERVER, True, Retry.ONCE),
        (Cause.RATE_LIMITED, False, Retry.HOLD),
    ],
)
def test_the_provider_is_believed_when_it_says_whether_to_retry(
    cause: Cause, message: bool, retry: Retry
) -> None:
    assert CallFailed(cause, "why", should_retry=message).retry is retry


def test_a_tier_waits_for_the_model_that_is_only_busy_whatever_is_wrong_with_the_others() -> None:
    busy = Failed(Retry.HOLD, 30.0)
    assert decisive([busy, Failed(Retry.NEVER), Failed(Retry.AGAIN, 1.0)]) is busy


def test_of_two_busy_models_the_one_that_is_free_sooner_is_waited_for() -> None:
    sooner = Failed(Retry.HOLD, 2.0)
    assert decisive([sooner, Failed(Retry.HOLD, 30.0), Failed(Retry.HOLD)]) is sooner


def test_among_equals_the_last_one_asked_speaks() -> None:
    last = Failed(Retry.AGAIN)
    assert decisive([Failed(Retry.AGAIN), last]) is last
