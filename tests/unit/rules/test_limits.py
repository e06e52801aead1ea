"""Limits of accounts, and the bucket that a rate is held by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.base.settings import Settings
from tierline.rules.limits import BURST_S, LIMITS, Limits, TokenBucket


def test_an_account_without_a_limit_of_its_own_has_the_default() -> None:
    defaults = Limits(100, None, 50, 1000)
    assert Limits(max_queued_jobs=7).over(defaults) == Limits(7, None, 50, 1000)
    assert Limits(max_jobs_in_progress=3).over(defaults).max_jobs_in_progress == 3


def test_the_settings_have_a_default_for_each_rate() -> None:
    limits = Settings().limits
    assert limits.to_dict().keys() == set(LIMITS)
    assert limits.max_requests_per_s is not None
    assert limits.max_body_bytes_per_s is not None


def test_an_empty_setting_is_no_limit_of_jobs_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERLINE_MAX_JOBS_IN_PROGRESS", "")
    assert Settings().limits.max_jobs_in_progress is None
    monkeypatch.setenv("TIERLINE_MAX_JOBS_IN_PROGRESS", "8")
    assert Settings().limits.max_jobs_in_progress == 8


def passed(bucket: TokenBucket, rate: float, now_s: float) -> bool:
    if bucket.wait_s(rate, now_s) > 0:
        return False
    bucket.take(1)
    return True


def test_a_burst_passes_and_then_the_rate() -> None:
    bucket = TokenBucket(10, 100.0)
    assert sum(passed(bucket, 10, 100.0) for _ in range(50)) == 10 * BURST_S
    assert sum(passed(bucket, 10, 100.0 + tick / 100) for tick in range(1, 201)) == 20


def test_who_is_refused_passes_after_the_wait_that_was_told() -> None:
    bucket = TokenBucket(4, 0.0)
    while passed(bucket, 4, 0.0):
        pass
    wait_s = bucket.wait_s(4, 0.0)
    assert 0 < wait_s <= 0.25
    assert bucket.wait_s(4, wait_s) == 0


def test_what_is_larger_than_a_burst_passes_and_is_paid_for_after() -> None:
    bucket = TokenBucket(100, 0.0)
    assert bucket.wait_s(100, 0.0) == 0
    bucket.take(1_000)
    assert bucket.wait_s(100, 0.0) == 8.0
    assert bucket.wait_s(100, 7.9) > 0
    assert bucket.wait_s(100, 8.1) == 0


def test_a_lower_rate_holds_at_once() -> None:
    bucket = TokenBucket(1_000, 0.0)
    assert sum(passed(bucket, 1, 0.0) for _ in range(50)) == BURST_S


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(1, 100.0)
    while passed(bucket, 1, 100.0):
        pass
    assert bucket.wait_s(1, 50.0) > 0


@given(
    rate=st.integers(1, 50),
    steps=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_over_any_time_no_more_passes_than_the_rate_and_a_burst(
    rate: int, steps: list[float]
) -> None:
    bucket = TokenBucket(rate, 0.0)
    now_s = 0.0
    count = 0
    for step_s in steps:
        now_s += step_s
        count += sum(passed(bucket, rate, now_s) for _ in range(20))
    assert count <= rate * (now_s + BURST_S) + 1
