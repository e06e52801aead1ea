"""From a model's text to a verdict."""

import json

import pytest

from tests.support.samples.features import INVOICE, SUMMARY, TRIAGE
from tierline.checks import RuleBroken, check, input_faults
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.rules.verdicts import Verdict

TEXT = {"text": "Invoice A-77, total 1.250,00 EUR"}
GOOD = {"invoice_number": "A-77", "total": 1250.0, "currency": "EUR"}


@pytest.fixture(scope="module")
def invoice() -> Feature:
    return parse_feature(INVOICE)


def test_a_good_answer_passes(invoice: Feature) -> None:
    judged = check(invoice, TEXT, json.dumps(GOOD))
    assert (judged.verdict, judged.reason, judged.output) == (Verdict.PASSED, None, GOOD)
    assert not judged.repaired


def test_a_repaired_answer_passes_and_says_so(invoice: Feature) -> None:
    judged = check(invoice, TEXT, f"```json\n{json.dumps(GOOD)}\n```\nDone.")
    assert (judged.verdict, judged.repaired, judged.output) == (Verdict.PASSED, True, GOOD)


@pytest.mark.parametrize("text", ["", "I cannot.", '{"total": NaN}', json.dumps(GOOD)[:-5]])
def test_what_is_no_json_is_malformed(invoice: Feature, text: str) -> None:
    judged = check(invoice, TEXT, text)
    assert judged.verdict is Verdict.MALFORMED
    assert judged.reason
    assert judged.output is None


def test_a_value_that_breaks_the_schema_says_where(invoice: Feature) -> None:
    judged = check(invoice, TEXT, json.dumps(GOOD | {"currency": "euro"}))
    assert judged.verdict is Verdict.SCHEMA
    assert judged.reason == 'currency: the value is not one of "EUR", "USD" or "SEK"'


def test_a_value_that_is_not_in_the_input_is_ungrounded(invoice: Feature) -> None:
    judged = check(invoice, TEXT, json.dumps(GOOD | {"total": 1260}))
    assert judged.verdict is Verdict.UNGROUNDED
    assert judged.reason
    assert judged.reason.startswith("total: not found in the input")


def test_a_broken_rule_is_told_in_the_features_words(invoice: Feature) -> None:
    judged = check(invoice, {"text": "A-77 -5"}, json.dumps(GOOD | {"total": -5}))
    assert (judged.verdict, judged.reason) == (Verdict.RULE, "the total cannot be negative")


def test_every_failure_is_told_and_the_first_gives_the_verdict(invoice: Feature) -> None:
    judged = check(invoice, TEXT, json.dumps(GOOD | {"total": -7}))
    assert judged.verdict is Verdict.UNGROUNDED
    assert len(judged.failures) == 2


def test_a_rule_that_errors_is_no_verdict_on_the_answer() -> None:
    rule = "output.total < 13.0 || output.total > input.least"  # good on the file's examples
    broken = parse_feature(INVOICE.replace("output.total >= 0", rule))
    with pytest.raises(RuleBroken):
        check(broken, TEXT, json.dumps(GOOD))


def test_plain_text_is_taken_as_it_stands() -> None:
    judged = check(parse_feature(SUMMARY), {"text": "x"}, ' {"not": json \n')
    assert (judged.verdict, judged.output) == (Verdict.PASSED, '{"not": json')


@pytest.mark.parametrize("text", ["  \n", "a\x00b", "a\ud800b"])
def test_plain_text_that_cannot_be_kept_is_malformed(text: str) -> None:
    assert check(parse_feature(SUMMARY), {"text": "x"}, text).verdict is Verdict.MALFORMED


def test_rules_hold_for_plain_text_too() -> None:
    judged = check(parse_feature(SUMMARY), {"text": "x"}, "long " * 20)
    assert (judged.verdict, judged.reason) == (Verdict.RULE, "at most 40 characters")


def test_a_label_without_its_quotes_is_read_as_that_label() -> None:
    text = TRIAGE.replace("{category: bug}", "bug")
    head, _, tail = text.partition("output:\n")
    feature = parse_feature(
        f"{head}output: {{type: string, enum: [bug, other]}}\n{tail[tail.index('examples:') :]}"
    )
    judged = check(feature, {"text": "x"}, " bug\n")
    assert (judged.verdict, judged.output, judged.repaired) == (Verdict.PASSED, "bug", True)
    assert check(feature, {"text": "x"}, "bugs").verdict is Verdict.MALFORMED


def test_an_input_that_does_not_fit_names_its_field(invoice: Feature) -> None:
    assert [fault.path for fault in input_faults(invoice, {"text": 5})] == [("text",)]
    assert input_faults(invoice, TEXT) == []
