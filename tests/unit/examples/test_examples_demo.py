"""The demo's counting: right, wrong, escalated though right, and what is only estimated."""

from decimal import Decimal
from typing import Any

import pytest

from examples.demo.budget import budget
from examples.demo.costs import Used, by_tier, second_tier_alone
from examples.demo.live import counts
from examples.demo.outcomes import Outcome, quantile, tally
from examples.demo.product import environment
from examples.demo.rows import Road, Row, read_rows
from examples.demo.second_tier import (
    LARGER,
    LOCAL_TIMEOUT_S,
    SMALL,
    STAND_IN,
    SecondTier,
    feature_texts,
)
from tierline.features import Price
from tierline.features.parse import parse_feature

RIGHT, WRONG = {"category": "bug"}, {"category": "other"}


def outcome(
    *answers: tuple[str, str],
    output: Any = None,
    expected: Any = RIGHT,
    calls: tuple[dict[str, Any], ...] = (),
) -> Outcome:
    """A triage job: (tier, answer's text) of each attempt, and what was served (None: failed)."""
    row = Row("t-1", "ticket-triage", "clean", {"text": "x"}, expected, Road.POLL)
    attempts = [
        {"number": number, "tier": tier, "answer": answer, "calls": list(calls)}
        for number, (tier, answer) in enumerate(answers, 1)
    ]
    job = {
        "status": "failed" if output is None else "completed",
        "output": output,
        "escalated": len({tier for tier, _ in answers}) > 1,
    }
    return Outcome(row, job, attempts)


def test_served_right_and_served_wrong_are_told_apart() -> None:
    counts = tally(
        "ticket-triage",
        [
            outcome(("slm", '{"category": "bug"}'), output=RIGHT),
            outcome(("slm", '{"category": "other"}'), output=WRONG),
        ],
    )
    assert (counts.right, counts.wrong, counts.left, counts.right_after) == (1, 1, 0, 0)


def test_a_right_first_answer_that_was_sent_on_is_counted_even_when_it_ends_wrong() -> None:
    one = outcome(("slm", '{"category": "bug"}'), ("frontier", "x"), output=WRONG)
    counts = tally("ticket-triage", [one])
    assert (counts.wrong, counts.escalated_though_right, counts.right_after) == (1, 1, 0)


def test_a_first_answer_in_a_code_fence_is_read_as_the_checks_read_it() -> None:
    one = outcome(("slm", '```json\n{"category": "bug"}\n```'), ("frontier", "x"), output=RIGHT)
    assert one.right_before


def test_the_last_answer_of_the_first_tier_is_the_one_that_was_sent_on() -> None:
    one = outcome(
        ("slm", '{"category": "other"}'),
        ("slm", '{"category": "bug"}'),
        ("frontier", "x"),
        output=RIGHT,
    )
    assert one.right_before


def test_what_a_later_tier_served_right_is_counted_apart() -> None:
    one = outcome(("micro", ""), ("frontier", '{"category": "bug"}'), output=RIGHT)
    counts = tally("ticket-triage", [one, outcome(("micro", "x"), output=RIGHT)])
    assert (counts.right, counts.right_after) == (2, 1)


def test_leaving_it_to_a_person_is_right_where_no_answer_is() -> None:
    counts = tally("ticket-triage", [outcome(("slm", "x"), ("frontier", "x"), expected=None)])
    assert (counts.left, counts.left_rightly, counts.wrong) == (1, 1, 0)


def test_serving_anything_is_wrong_where_no_answer_is_right() -> None:
    counts = tally("ticket-triage", [outcome(("slm", "x"), output=RIGHT, expected=None)])
    assert (counts.right, counts.wrong) == (0, 1)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.95, 3.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([1.0, 2.0], 0.95, 2.0),
    ],
)
def test_a_quantile_is_a_value_that_was_seen(
    values: list[float], share: float, expected: float | None
) -> None:
    assert quantile(values, share) == expected


CALL = {
    "usage": {"input_tokens": 100, "cached_input_tokens": 20, "output_tokens": 10},
    "cost_usd": "0.001",
    "latency_s": 0.5,
}


def test_tokens_time_and_cost_add_up_by_tier() -> None:
    tiers = by_tier([outcome(("slm", "x"), ("frontier", "x"), output=RIGHT, calls=(CALL, CALL))])
    assert tiers["slm"] == tiers["frontier"] == Used(2, 240, 20, 1.0, Decimal("0.002"))


def test_a_call_of_unknown_cost_is_counted_and_not_taken_as_free() -> None:
    tiers = by_tier([outcome(("slm", "x"), output=RIGHT, calls=(CALL | {"cost_usd": None},))])
    assert tiers["slm"].unknown == 1


def test_the_second_tier_alone_is_the_mean_of_what_it_had_for_every_job() -> None:
    outcomes = [
        outcome(("slm", "x"), ("frontier", "x"), output=RIGHT, calls=(CALL,)),
        outcome(("slm", "x"), output=RIGHT, calls=(CALL,)),
    ]
    alone = second_tier_alone(outcomes, "frontier")
    assert alone is not None
    assert (alone.calls, alone.input_tokens, alone.output_tokens) == (2, 240, 20)
    assert alone.at(Price(Decimal(1), Decimal(10))) == Decimal("0.00044")


def test_without_anything_on_the_second_tier_nothing_is_estimated() -> None:
    assert second_tier_alone([outcome(("slm", "x"), output=RIGHT)], "frontier") is None


def test_the_rows_go_in_by_all_three_roads_and_each_feature_has_every_road() -> None:
    rows = read_rows()
    assert len(rows) >= 60
    assert len({row.custom_id for row in rows}) == len(rows)
    for feature in {row.feature for row in rows}:
        assert {row.road for row in rows if row.feature == feature} == set(Road)


def test_local_models_are_given_more_time_than_a_provider() -> None:
    for text in feature_texts(SecondTier("openai:gpt-5")).values():
        last = parse_feature(text).tiers[-1]
        assert last.timeout_s < LOCAL_TIMEOUT_S
    for text in feature_texts(SecondTier(LARGER)).values():
        asked = [tier for tier in parse_feature(text).tiers if tier.name != "micro"]
        assert {tier.timeout_s for tier in asked} == {LOCAL_TIMEOUT_S}


@pytest.mark.parametrize(
    "second",
    [SecondTier("openai:gpt-5"), SecondTier(LARGER), SecondTier(SMALL, stand_in=True, why="asked")],
    ids=lambda second: second.tier + second.model,
)
def test_every_feature_is_right_with_every_second_tier(second: SecondTier) -> None:
    for name, text in feature_texts(second).items():
        feature = parse_feature(text, name)
        assert [str(model) for model in feature.tiers[-1].models] == [second.model]
        assert feature.tiers[-1].name == second.tier


def test_a_stand_in_is_called_one_wherever_its_tier_shows() -> None:
    second = SecondTier(SMALL, stand_in=True, why="asked")
    for text in feature_texts(second).values():
        assert parse_feature(text).tiers[-1].name == STAND_IN
    assert "stand-in" in second.words


def test_an_estimate_bounds_the_tokens_and_caps_the_cost() -> None:
    from datetime import UTC, datetime

    texts = feature_texts(SecondTier("openai:gpt-5"))
    features = {name: parse_feature(text) for name, text in texts.items()}
    estimate = budget(read_rows(), features, "openai:gpt-5", datetime(2026, 11, 1, tzinfo=UTC))
    assert estimate.tokens_in > 10_000
    assert estimate.likely is not None
    assert estimate.cap is not None
    assert Decimal(0) < estimate.likely < estimate.cap < Decimal(10)


def test_a_model_without_a_price_has_no_estimate_in_usd() -> None:
    from datetime import UTC, datetime

    texts = feature_texts(SecondTier("openai:nobody-knows"))
    features = {name: parse_feature(text) for name, text in texts.items()}
    estimate = budget(
        read_rows(), features, "openai:nobody-knows", datetime(2026, 11, 1, tzinfo=UTC)
    )
    assert (estimate.likely, estimate.cap) == (None, None)


def test_no_key_of_the_environment_reaches_the_demo_unless_frontier_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere")
    assert "OPENAI_API_KEY" not in environment("")
    assert environment("openai:gpt-5")["OPENAI_API_KEY"] == "k"
    assert "DATABASE_URL" not in environment("openai:gpt-5")


def test_the_live_table_says_where_each_job_is() -> None:
    rows = [Row(f"t-{number}", "f", "clean", None, None, Road.POLL) for number in range(5)]
    seen = {
        "t-0": {"status": "completed", "escalated": True},
        "t-1": {"status": "queued", "escalated": True},
        "t-2": {"status": "in_progress", "escalated": False},
        "t-3": {"status": "failed", "escalated": True},
    }
    found = counts(rows, seen)["f"]
    assert found == {
        "not yet": 1, "queued": 0, "first tier": 1, "deeper": 1, "completed": 1, "failed": 1,
    }  # fmt: skip
