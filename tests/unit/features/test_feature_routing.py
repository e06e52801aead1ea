"""The keys `routing`, `pinned` and `canary` of a feature file."""

import pytest

from tests.support.samples.features import INVOICE
from tierline.base.errors import FeatureError
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.features.routing_options import Canary, Complexity, Shadow

BARE = "\n".join(line for line in INVOICE.splitlines() if not line.startswith("routing:")) + "\n"
HERE = BARE.count("\n") + 1  # the line of a key that is written at the end


def test_pins_and_canary_are_kept_and_survive_their_json() -> None:
    text = "pinned: {acme: frontier, beta: slm}\ncanary: {tier: frontier, share: 0.05}\n"
    feature = parse_feature(f"{BARE}{text}shadow: {{share: 0.02, usd_per_day: 1.5}}\n")
    assert feature.shadow == Shadow(0.02, 1.5)
    routed = parse_feature(f"{BARE}complexity: {{max_risk: 0.4, longest: 900}}\n")
    assert routed.complexity == Complexity(0.4, 900)
    assert Feature.from_dict(routed.to_dict()) == routed
    assert feature.pinned == {"acme": "frontier", "beta": "slm"}
    assert feature.canary == Canary("frontier", 0.05)
    again = Feature.from_dict(feature.to_dict())
    assert again == feature
    assert again.fingerprint() == feature.fingerprint()


def test_a_feature_without_them_keeps_its_fingerprint() -> None:
    document = parse_feature(BARE).to_dict()
    assert "pinned" not in document
    assert "canary" not in document
    assert "shadow" not in document
    assert "complexity" not in document


def test_a_tier_alone_is_pinned_to_nothing() -> None:
    feature = parse_feature(f"{BARE}pinned: {{acme: frontier}}\n").only("slm")
    assert feature.pinned == {}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("pinned: {acme: frontir}", 'the feature has no tier "frontir"; did you mean "frontier"?'),
        ("pinned: [acme]", "must map at most 1,000 accounts to tiers"),
        ("pinned: {acme: 3}", "must be text, not a number"),
        ("canary: {tier: frontier}", 'the key "share" is missing'),
        ("canary: {tier: other, share: 0.1}", 'the feature has no tier "other"'),
        ("complexity: {longest: 9}", 'the key "max_risk" is missing'),
        ("complexity: {max_risk: 1.5}", "must be 0 to 1, not 1.5"),
        ("complexity: {max_risk: 0.5, longest: 0}", "must be 1 to 10000000, not 0"),
        ("latency_target_ms: 0", "must be 1 to 86400000, not 0"),
        ("latency_target_ms: 1.5", "must be a whole number"),
        ("shadow: {usd_per_day: 1}", 'the key "share" is missing'),
        ("shadow: {share: 2}", "must be 0.0001 to 1, not 2"),
        ("shadow: {share: 0.1, usd_per_day: -1}", "must be 0 to 1e+06, not -1"),
        ("canary: {tier: frontier, share: 1}", "must be 0.0001 to 0.9999, not 1"),
        ("canary: {tier: frontier, share: -0.1}", "must be 0.0001 to 0.9999, not -0.1"),
        ("canary: {tier: frontier, share: 5%}", "must be a number, not text"),
        ("canary: {tier: frontier, shares: 0.1}", 'unknown key "shares"'),
        (
            "routing: slm_frist",
            'must be slm_first or slm_only or frontier_first or frontier_only, not "slm_frist"',
        ),
    ],
)
def test_a_mistake_is_told_on_its_line(written: str, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        parse_feature(f"{BARE}{written}\n", "f.yaml")
    errors = caught.value.problems
    assert [one.line for one in errors] == [HERE] * len(errors)
    assert any(message in one.message for one in errors)


def test_jobs_begin_on_no_tier_that_the_policy_never_uses() -> None:
    with pytest.raises(FeatureError) as caught:
        parse_feature(f"{BARE}routing: slm_only\npinned: {{acme: frontier}}\n", "f.yaml")
    (error,) = caught.value.problems
    assert error.message == 'routing slm_only never uses the tier "frontier"'
    assert error.line == HERE + 1


@pytest.mark.parametrize("key", ["shadow: {share: 0.1}", "complexity: {max_risk: 0.5}"])
def test_a_later_tier_is_needed_for_what_only_it_can_do(key: str) -> None:
    with pytest.raises(FeatureError, match="leaves no later tier"):
        parse_feature(f"{BARE}routing: slm_only\n{key}\n", "f.yaml")
