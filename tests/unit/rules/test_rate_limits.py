"""Limits a minute: how they are written, and that no minute sees more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.rules.rate_limits import Bucket, RateLimit, limits_of, parse_limits


def test_limits_are_read_by_provider_and_by_model() -> None:
    assert parse_limits("openai:gpt-5=500/30000, mistral=60/-,local:a=-/900,x=7") == {
        "openai:gpt-5": RateLimit(500, 30_000),
        "mistral": RateLimit(60, None),
        "local:a": RateLimit(None, 900),
        "x": RateLimit(7, None),
    }
    assert parse_limits("") == {}


@pytest.mark.parametrize("text", ["openai", "openai=", "openai=5rpm", "=5/5", "a=1/2/3", "a=0/5"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a minute|nothing through"):
        parse_limits(text)


def test_a_name_has_one_limit() -> None:
    with pytest.raises(ValueError, match="given twice"):
        parse_limits("a=1,a=2")


def test_a_call_comes_under_its_models_limit_and_its_providers() -> None:
    limits = parse_limits("openai=9,openai:a=5,mistral=3")
    assert set(limits_of("openai:a", limits)) == {"openai", "openai:a"}
    assert set(limits_of("openai:b", limits)) == {"openai"}
    assert limits_of("local:a", limits) == {}


def test_a_share_lets_one_request_through_at_least() -> None:
    assert RateLimit(5, None).share(16) == RateLimit(1, None)
    assert RateLimit(160, 3200).share(16) == RateLimit(10, 200)


@given(most=st.integers(1, 500), begin_s=st.floats(0, 600))
def test_no_minute_sees_more_than_the_limit(most: int, begin_s: float) -> None:
    bucket = Bucket(most, begin_s)
    sent: list[float] = []
    now_s = begin_s
    while now_s < begin_s + 130:
        wait_s = bucket.wait_s(1, now_s)
        if wait_s > 0:
            now_s += max(wait_s, 1e-6)
            continue
        bucket.take(1)
        sent.append(now_s)
    for first, after_most in zip(sent, sent[most:], strict=False):
        assert after_most - first > 59.999


def test_a_call_larger_than_the_burst_goes_when_the_bucket_is_full_and_is_owed() -> None:
    bucket = Bucket(1200, 0.0)
    assert bucket.wait_s(600, 0.0) == 0.0
    bucket.take(600)
    assert bucket.wait_s(1, 0.0) == pytest.approx(541 / (1141 / 60))


def test_what_a_call_did_not_use_is_given_back() -> None:
    bucket = Bucket(1200, 0.0)
    bucket.take(60)
    bucket.take(-59)
    assert bucket.wait_s(59, 0.0) == 0.0
