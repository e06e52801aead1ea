"""Signals point where their facts do, and a recommendation follows them and never runs ahead."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.advice.recommend import TIERS, recommend
from tierline.advice.signals import SIGNALS, Points, Signal, UseCase

NOTHING = UseCase(
    output="fields",
    instructions="Name the amount.",
    steps=0,
    temperature=0.0,
    requests_per_day=None,
    labels=None,
    latency_ms=None,
    likeness=None,
)
BEST: dict[str, Any] = {
    "output": "labels",
    "requests_per_day": 250_000.0,
    "labels": 900,
    "latency_ms": 300.0,
    "likeness": 0.8,
    "high_stakes": False,
    "many_sources": False,
    "ambiguous": False,
}


def pointed(name: str, **facts: Any) -> Points:
    signals = {one.name: one for one in (signal(replace(NOTHING, **facts)) for signal in SIGNALS)}
    return signals[name].points


@pytest.mark.parametrize(
    ("name", "facts", "points"),
    [
        ("structured output", {"output": "labels"}, "small"),
        ("structured output", {"output": "fields"}, "small"),
        ("structured output", {"output": "text"}, "neither"),
        ("freeform where quality is the product", {"output": "text"}, "unknown"),
        (
            "freeform where quality is the product",
            {"output": "text", "freeform_is_the_product": True},
            "frontier",
        ),
        ("freeform where quality is the product", {"freeform_is_the_product": True}, "neither"),
        ("narrow and predictable input", {"likeness": 0.74}, "small"),
        ("narrow and predictable input", {"likeness": 0.57}, "neither"),
        ("narrow and predictable input", {"likeness": 0.3}, "frontier"),
        ("narrow and predictable input", {}, "unknown"),
        ("traffic", {"requests_per_day": 100_001.0}, "small"),
        ("traffic", {"requests_per_day": 50_000.0}, "neither"),
        ("traffic", {"requests_per_day": 9_999.0}, "frontier"),
        ("traffic", {}, "unknown"),
        ("labelled examples", {"labels": 500}, "small"),
        ("labelled examples", {"labels": 499}, "neither"),
        ("labelled examples", {"labels": 0}, "frontier"),
        ("labelled examples", {}, "unknown"),
        ("latency", {"latency_ms": 499.0}, "small"),
        ("latency", {"latency_ms": 500.0}, "neither"),
        ("latency", {}, "unknown"),
        ("repeatable", {}, "small"),
        ("repeatable", {"temperature": 0.7}, "neither"),
        ("complex or ambiguous instructions", {}, "unknown"),
        ("complex or ambiguous instructions", {"ambiguous": False}, "small"),
        ("complex or ambiguous instructions", {"ambiguous": True}, "frontier"),
        ("complex or ambiguous instructions", {"instructions": "If so, unless. " * 4}, "frontier"),
        ("complex or ambiguous instructions", {"instructions": "word " * 500}, "frontier"),
        ("synthesis over many sources", {"many_sources": True}, "frontier"),
        ("synthesis over many sources", {}, "unknown"),
        ("high stakes", {"high_stakes": True}, "frontier"),
        ("high stakes", {"high_stakes": False}, "neither"),
        ("high stakes", {}, "unknown"),
    ],
)
def test_each_signal_points_where_its_facts_do(
    name: str, facts: dict[str, Any], points: Points
) -> None:
    assert pointed(name, **facts) == points


def test_what_is_unknown_names_the_option_that_says_it_unless_traffic_brings_it() -> None:
    unknown = [one for one in (signal(NOTHING) for signal in SIGNALS) if one.points == "unknown"]
    without = {one.name for one in unknown if one.ask is None}
    assert without == {"narrow and predictable input", "labelled examples"}


def weighed(**facts: Any) -> tuple[str, float]:
    advice = recommend([signal(replace(NOTHING, **facts)) for signal in SIGNALS])
    return advice.tier, advice.sure


def test_with_all_for_it_a_small_model_is_advised_and_with_high_stakes_never_alone() -> None:
    assert weighed(**BEST) == ("small", 1.0)
    tier, sure = weighed(**{**BEST, "high_stakes": True})
    assert (tier, sure < 1.0 or tier == "small first") == ("small first", True)
    assert weighed(**{**BEST, "high_stakes": None})[0] == "small first"


def test_a_prototype_of_free_text_stays_on_the_frontier() -> None:
    tier, sure = weighed(
        output="text",
        freeform_is_the_product=True,
        labels=0,
        requests_per_day=100.0,
        many_sources=True,
    )
    assert tier == "frontier"
    assert sure > 0.5


POINTS: list[Points] = ["small", "frontier", "neither", "unknown"]
DRAWN = st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 3)), min_size=1, max_size=12)


def signals(drawn: list[tuple[Points, int]]) -> list[Signal]:
    names = ["high stakes", *(f"signal {number}" for number in range(20))]
    return [
        Signal(name, points, weight, "x")
        for name, (points, weight) in zip(names, drawn, strict=False)
    ]


@given(DRAWN, st.data())
def test_one_more_signal_for_small_never_moves_towards_the_frontier(
    drawn: list[tuple[Points, int]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(drawn) - 1))
    after = [*drawn]
    after[place] = ("small", drawn[place][1])
    before_, after_ = recommend(signals(drawn)), recommend(signals(after))
    assert TIERS.index(after_.tier) >= TIERS.index(before_.tier)
    assert after_.lean >= before_.lean


@given(DRAWN, st.data())
def test_to_lose_what_spoke_for_it_never_makes_it_surer(
    drawn: list[tuple[Points, int]], data: st.DataObject
) -> None:
    before = recommend(signals(drawn))
    place = data.draw(st.integers(0, len(drawn) - 1))
    helped = "small" if before.lean > 0 else "frontier"
    if before.lean == 0 or drawn[place][0] != helped:
        return
    lost: tuple[Points, int] = ("unknown", drawn[place][1])
    after = recommend(signals([*drawn[:place], lost, *drawn[place + 1 :]]))
    assert after.sure <= before.sure or after.lean * before.lean < 0
