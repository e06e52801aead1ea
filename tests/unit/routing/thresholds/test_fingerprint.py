"""What a calibration is bound to."""

import pytest

from tests.support.samples.features import INVOICE
from tierline.features.parse import parse_feature
from tierline.routing.thresholds.fingerprint import answerer, fingerprint, recipe


def recipe_of(text: str) -> str:
    feature = parse_feature(text)
    return recipe(feature, feature.tiers[0])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Extract the invoice's fields.", "Extract the fields of the invoice."),
        ('input: {text: "..."}', 'input: {text: "other"}'),
        ("max_tokens: 200", "max_tokens: 100"),
        ("output.total >= 0", "output.total > 0"),
        ("samples: 2", "samples: 3"),
        ("enum: [EUR, USD, SEK]", "enum: [EUR, USD]"),
        ("feature: invoice-fields", "feature: other-fields"),
        ("    timeout_s: 20", "    timeout_s: 20\n    reask: true"),
        ("routing: slm_first", "routing: slm_first\ncomparison: normalised"),
    ],
)
def test_what_makes_or_judges_the_answer_makes_another_recipe(before: str, after: str) -> None:
    assert before in INVOICE
    assert recipe_of(INVOICE.replace(before, after, 1)) != recipe_of(INVOICE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("timeout_s: 20", "timeout_s: 10"),
        ("routing: slm_first", "canary: {tier: frontier, share: 0.1}"),
        ("description: The fields", "description: Some fields"),
        ("[openai:gpt-5]", "[openai:gpt-5.1]"),
    ],
)
def test_what_does_not_leaves_it(before: str, after: str) -> None:
    assert before in INVOICE
    assert recipe_of(INVOICE.replace(before, after, 1)) == recipe_of(INVOICE)


def test_who_answered_is_part_of_the_fingerprint_by_the_exact_id() -> None:
    one = fingerprint("recipe", {answerer("openai:small", "small-2026")})
    other = fingerprint("recipe", {answerer("openai:small", "small-2027")})
    both = fingerprint("recipe", {answerer("openai:small", "small-2026"), "local:tiny"})
    assert len({one, other, both}) == 3
    assert answerer("local:tiny", "tiny") == "local:tiny"
