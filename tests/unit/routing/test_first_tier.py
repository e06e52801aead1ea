"""Where a job begins, and that the same facts always lead to the same tier."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.database.rows import TWO_TIERS
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.routing.first_tier import (
    JobOrigin,
    by_signals,
    default_tier,
    first_tier,
    share_of,
    varies,
)


def feature(more: str = "", name: str = "echo") -> Feature:
    return parse_feature(TWO_TIERS.format(name=name) + more)


PINNED = "pinned: {acme: frontier}\n"
CANARY = "canary: {tier: frontier, share: 0.2}\n"


@pytest.mark.parametrize(
    ("routing", "choice", "index"),
    [
        ("slm_first", "slm", 0),
        ("slm_only", "slm", 0),
        ("frontier_first", "frontier", 1),
        ("frontier_only", "frontier", 1),
    ],
)
def test_a_feature_alone_decides(routing: str, choice: str, index: int) -> None:
    plain = feature(f"routing: {routing}\n")
    decision = first_tier(plain, JobOrigin("acme", "k"))
    assert (decision.policy, decision.choice, decision.tier_index) == (routing, choice, index)
    assert decision == default_tier(plain)
    assert not varies(plain)


def test_a_pin_goes_before_all_else_and_holds_for_its_account() -> None:
    both = feature(PINNED + CANARY)
    assert varies(both)
    for number in range(50):
        decision = first_tier(both, JobOrigin("acme", f"k{number}"))
        assert (decision.policy, decision.choice, decision.tier_index) == ("pinned", "frontier", 1)
    assert {first_tier(both, JobOrigin("other", f"k{n}")).policy for n in range(50)} == {
        "canary",
        "slm_first",
    }


def test_a_canary_takes_its_share_and_the_same_callers_each_time() -> None:
    some = feature(CANARY)
    first = [first_tier(some, JobOrigin("a", f"user-{number}")) for number in range(4_000)]
    again = [first_tier(some, JobOrigin("b", f"user-{number}")) for number in range(4_000)]
    assert first == again
    share = sum(one.choice == "frontier" for one in first) / 4_000
    assert share == pytest.approx(0.2, abs=0.02)
    for one in first:
        assert one.threshold == 0.2
        assert (one.choice == "frontier") is (one.signals["drawn"] < 0.2)


def test_a_canary_of_the_small_tier_grows_out_of_a_feature_that_begins_on_the_last() -> None:
    some = feature("routing: frontier_first\ncanary: {tier: slm, share: 0.2}\n")
    decisions = [first_tier(some, JobOrigin("a", f"user-{number}")) for number in range(500)]
    assert {(one.policy, one.choice) for one in decisions} == {
        ("frontier_first", "frontier"),
        ("canary", "slm"),
    }
    assert [tier.name for tier in some.allowed_tiers()] == ["slm", "frontier"]


def test_a_wider_canary_keeps_those_that_it_had() -> None:
    narrow, wide = feature(CANARY), feature(CANARY.replace("0.2", "0.5"))
    for number in range(500):
        facts = JobOrigin("a", f"user-{number}")
        if first_tier(narrow, facts).choice == "frontier":
            assert first_tier(wide, facts).choice == "frontier"


def test_canaries_of_two_features_are_not_the_same_callers() -> None:
    one = [share_of("one", f"k{n}") < 0.5 for n in range(1_000)]
    other = [share_of("other", f"k{n}") < 0.5 for n in range(1_000)]
    assert sum(a == b for a, b in zip(one, other, strict=True)) == pytest.approx(500, abs=60)


@given(st.text(), st.text(), st.booleans(), st.booleans())
def test_what_is_kept_leads_to_the_same_decision(
    account: str, key: str, pinned: bool, canary: bool
) -> None:
    one = feature((PINNED if pinned else "") + (CANARY if canary else ""))
    made = first_tier(one, JobOrigin(account, key))
    kept = json.loads(json.dumps(made.to_dict()))
    assert by_signals(one, kept["signals"]).to_dict() == kept
