"""What the demo counts as right: examples/scoring.py."""

from typing import Any

import pytest

from examples.scoring import is_right

INVOICE = {"invoice_number": "A-1", "total": 1250.5, "currency": "EUR"}
SUMMARY = {"must_mention": [["refund", "money back"], ["label"]], "must_not_mention": ["banana"]}


def test_an_invoice_is_right_when_every_field_is() -> None:
    assert is_right("invoice-fields", INVOICE, dict(INVOICE))


def test_a_number_may_be_written_with_or_without_decimals() -> None:
    assert is_right("invoice-fields", {"total": 1250.0}, {"total": 1250})


def test_space_around_a_text_field_does_not_make_it_wrong() -> None:
    assert is_right("invoice-fields", INVOICE, {**INVOICE, "invoice_number": " A-1 "})


@pytest.mark.parametrize(
    "change",
    [
        {"total": 1250.51},
        {"total": "1250.5"},
        {"total": True},
        {"total": None},
        {"currency": "USD"},
        {"invoice_number": "a-1"},
    ],
)
def test_one_wrong_field_makes_an_invoice_wrong(change: dict[str, Any]) -> None:
    assert not is_right("invoice-fields", INVOICE, {**INVOICE, **change})


def test_a_missing_field_is_wrong_even_where_null_was_expected() -> None:
    assert not is_right("invoice-fields", {"total": None}, {})
    assert is_right("invoice-fields", {"total": None}, {"total": None})


def test_an_output_that_is_not_an_object_is_wrong() -> None:
    assert not is_right("invoice-fields", INVOICE, "A-1")
    assert not is_right("ticket-triage", {"category": "bug"}, "bug")


@pytest.mark.parametrize("output", [None, {}, INVOICE, "some text"])
def test_nothing_is_right_where_no_answer_is(output: Any) -> None:
    assert not is_right("invoice-fields", None, output)


def test_a_ticket_is_right_when_its_category_is() -> None:
    assert is_right("ticket-triage", {"category": "bug"}, {"category": "bug"})
    assert not is_right("ticket-triage", {"category": "bug"}, {"category": "billing"})


def test_a_summary_needs_a_word_of_each_group_in_any_case() -> None:
    assert is_right("ticket-summary", SUMMARY, "Wants their MONEY BACK for faulty labels.")
    assert not is_right("ticket-summary", SUMMARY, "Wants their money back.")


def test_a_summary_that_says_what_it_must_not_is_wrong() -> None:
    assert not is_right("ticket-summary", SUMMARY, "Banana: a refund for labels.")


def test_a_feature_without_a_scoring_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scoring rule for the feature 'other'"):
        is_right("other", {}, {})
