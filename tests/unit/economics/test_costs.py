"""From measured and assumed figures to the ways of running a feature."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tierline.base.errors import Conflict, InvalidInput
from tierline.economics.costs import CostQuestion, Measured, MeasuredTier, Upkeep, costs_of
from tierline.economics.scenarios import Machine, Volume
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.pricing import Price

FEATURE = """feature: amounts
instructions: Give the amount.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""
VOLUME = Volume(Decimal(1000), Decimal(1))
QUESTION = CostQuestion(VOLUME, input_tokens=Decimal(100), output_tokens=Decimal(10))


@pytest.fixture(scope="module")
def feature() -> Feature:
    return parse_feature(FEATURE)


def tier(known: int = 0, price: Price | None = None) -> MeasuredTier:
    return MeasuredTier(
        known_attempts=known,
        unknown_attempts=0,
        cost_usd=Decimal("0.01") if known else None,
        deviation_usd=Decimal("0.001") if known else None,
        input_tokens=Decimal(100),
        output_tokens=Decimal(10),
        prompt_characters=100,
        price=price,
        flex=None,
    )


PRICE = Price(Decimal(1), Decimal(10), Decimal(1))
NOTHING_MEASURED = Measured(1, 0, None, None, 0, 0, (), [tier(price=PRICE), tier(price=PRICE)])


def test_what_is_assumed_stands_in_for_what_was_not_measured(feature: Feature) -> None:
    costs = costs_of(feature, NOTHING_MEASURED, replace(QUESTION, escalation_rate=Decimal("0.5")))
    assert [(one.name, one.per_request.value) for one in costs.scenarios] == [
        ("frontier only", Decimal("0.0002")),
        ("slm first", Decimal("0.0003")),
        ("slm only", Decimal("0.0002")),
    ]
    assert sum(note.startswith("assumed") for note in costs.notes) == 3


def test_measured_jobs_are_a_way_of_their_own_and_what_compares_answers_is_told(
    feature: Feature,
) -> None:
    measured = Measured(
        every=7,
        known_jobs=200,
        cost_usd=Decimal("0.02"),
        deviation_usd=Decimal("0.001"),
        began_before_last=200,
        escalated=20,
        upkeep=[Upkeep("shadow", 9, Decimal("0.5"))],
        tiers=[tier(200), tier(40)],
    )
    costs = costs_of(feature, measured, CostQuestion(VOLUME))
    assert [one.name for one in costs.scenarios] == ["frontier only", "as routed now", "slm only"]
    assert "of every 7th job" in costs.notes
    assert any("9 calls to compare answers (shadow), 0.5 USD" in note for note in costs.notes)


def test_a_machine_of_ones_own_breaks_even_with_each_other_way(feature: Feature) -> None:
    question = replace(QUESTION, machine=Machine(Decimal(1), Decimal(5)))
    costs = costs_of(feature, NOTHING_MEASURED, question)
    assert costs.scenarios[-1].replicas == 1
    assert {one.paid for one in costs.break_evens} == {"frontier only", "slm only"}


def test_what_is_missing_is_named(feature: Feature) -> None:
    with pytest.raises(InvalidInput, match="say what to assume by input_tokens"):
        costs_of(feature, NOTHING_MEASURED, CostQuestion(VOLUME))
    unpriced = replace(NOTHING_MEASURED, tiers=[tier(), tier()])
    with pytest.raises(Conflict, match="tier slm: openai:small has no price"):
        costs_of(feature, unpriced, QUESTION)
    with pytest.raises(InvalidInput, match="the peak is at least that"):
        CostQuestion(Volume(Decimal(86_400), Decimal("0.5")))
