"""How many hints a dispatcher sends ahead."""

import pytest

from tierline.services.jobs.dispatching.pace import Pace


class Clock:
    """A clock that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def choices(pace: Pace, clock: Clock, taken: int, pause_s: float, count: int) -> int:
    """What the last of `count` choices sends ahead, if workers take so many between two."""
    out = 32
    for _ in range(count):
        clock.now_s += pause_s
        ahead = pace.ahead(out - taken, 64)
        pace.sent(taken)
    return ahead


def test_hints_last_for_one_and_a_half_pauses_of_jobs_that_end_quickly(clock: Clock) -> None:
    assert choices(Pace(4, clock), clock, taken=16, pause_s=0.03, count=40) == 24


def test_the_least_goes_out_where_jobs_take_long(clock: Clock) -> None:
    assert choices(Pace(4, clock), clock, taken=1, pause_s=0.03, count=40) == 4


def test_a_pool_that_was_idle_begins_with_the_least(clock: Clock) -> None:
    pace = Pace(4, clock)
    assert choices(pace, clock, taken=16, pause_s=0.03, count=40) > 4
    clock.now_s += 5.0
    assert pace.ahead(0, 64) == 4
