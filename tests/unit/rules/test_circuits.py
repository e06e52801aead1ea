"""What trips a circuit, and when it is probed."""

import pytest

from tierline.rules.causes import Cause
from tierline.rules.circuits import (
    FAILING,
    NOT_CALLED,
    OPERATORS,
    REMEMBERED_S,
    Effect,
    Window,
    effect,
    probe_wait_s,
)


def noted(*seen: Effect, every_s: float = 1.0) -> bool:
    window = Window()
    return [window.note(one, place * every_s) for place, one in enumerate(seen)][-1]


def test_five_failures_trip_it_and_four_do_not() -> None:
    assert noted(*[Effect.ILL] * 5)
    assert not noted(*[Effect.ILL] * 4)


def test_failures_among_many_answers_do_not_trip_it() -> None:
    seen = [Effect.WELL, Effect.WELL, Effect.ILL] * 10
    assert not noted(*seen)


def test_every_second_call_failing_trips_it() -> None:
    assert noted(*[Effect.WELL, Effect.ILL] * 5)


def test_failures_of_long_ago_are_forgotten() -> None:
    assert not noted(*[Effect.ILL] * 8, every_s=REMEMBERED_S / 3)


def test_a_key_that_is_refused_twice_in_a_row_trips_it() -> None:
    assert noted(Effect.WELL, Effect.LOCKED, Effect.LOCKED)
    assert not noted(Effect.LOCKED, Effect.WELL, Effect.LOCKED)


def test_an_answer_never_trips_it() -> None:
    assert not noted(*[Effect.ILL] * 4, Effect.WELL)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_says_something_or_nothing_of_its_provider(cause: Cause) -> None:
    expected = (
        Effect.LOCKED
        if cause in OPERATORS
        else Effect.NOTHING
        if cause in NOT_CALLED
        else Effect.ILL
        if cause in FAILING
        else Effect.WELL
    )
    assert effect(cause) is expected


def test_a_refused_request_and_a_rate_limit_are_answers() -> None:
    for cause in (None, Cause.REQUEST, Cause.CONTEXT, Cause.RATE_LIMITED, Cause.NO_ANSWER):
        assert effect(cause) is Effect.WELL


def test_a_call_that_was_given_too_little_time_says_nothing() -> None:
    assert effect(Cause.TIMEOUT, cut_short=True) is Effect.NOTHING
    assert effect(Cause.SERVER, cut_short=True) is Effect.ILL


def test_probes_come_at_doubling_times_up_to_a_minute() -> None:
    waits = [probe_wait_s(Cause.SERVER, failed, None) for failed in range(6)]
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_key_is_probed_more_seldom() -> None:
    assert [probe_wait_s(Cause.KEY, failed, None) for failed in range(4)] == [30, 60, 120, 120]


def test_a_provider_is_given_the_time_that_it_asks_for_but_no_more_than_an_hour() -> None:
    assert probe_wait_s(Cause.OVERLOADED, 0, 90.0) == 90.0
    assert probe_wait_s(Cause.OVERLOADED, 0, 1e6) == 3600.0
