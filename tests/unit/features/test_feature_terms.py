"""A tier's reasoning effort and service tier: how the file is read."""

import pytest

from tests.support.samples.features import STEPS
from tierline.base.errors import FeatureError
from tierline.features import Feature
from tierline.features.parse import parse_feature

ASKED = STEPS.replace(
    "    steps:\n", "    reasoning_effort: low\n    service_tier: flex\n    steps:\n"
)


def test_they_survive_the_features_json() -> None:
    tier = Feature.from_dict(parse_feature(ASKED).to_dict()).tiers[0]
    assert (tier.reasoning_effort, tier.service_tier) == ("low", "flex")


def test_a_tier_that_says_nothing_of_them_is_stored_as_before() -> None:
    stored = parse_feature(STEPS).tiers[0].to_dict()
    assert not {"reasoning_effort", "service_tier"} & stored.keys()


@pytest.mark.parametrize(("key", "word"), [("reasoning_effort", "low"), ("service_tier", "flex")])
def test_a_word_that_nobody_knows_is_told_with_its_line(key: str, word: str) -> None:
    text = ASKED.replace(f"{key}: {word}", f"{key}: sideways")
    with pytest.raises(FeatureError) as refused:
        parse_feature(text)
    (problem,) = refused.value.problems
    assert problem.line == 1 + text[: text.index(f"{key}:")].count("\n")
    assert "sideways" in problem.message
