"""Values out of a list, and texts that match a pattern."""

import json

import pytest

from tierline.base.errors import FeatureError
from tierline.checks import check
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.features.task import Check
from tierline.rules.verdicts import Verdict

FILE = """
feature: invoice
instructions: Read it.
input: {type: object}
output:
  type: object
  properties:
    currency: {type: string}
    number: {type: [string, "null"]}
    items: {type: array, items: {type: object, properties: {rate: {type: number}}}}
checks:
  - one_of: {currency: [EUR, USD], "items[].rate": [0, 7, 19]}
  - matches: {number: '[A-Z]{2}-\\d+'}
    says: a number looks like AB-12
tiers: [{name: slm, models: ["local:small"]}]
"""


@pytest.fixture(scope="module")
def feature() -> Feature:
    return parse_feature(FILE)


@pytest.mark.parametrize(
    "output",
    [
        {"currency": "EUR", "number": "AB-12", "items": [{"rate": 7.0}, {"rate": 19}]},
        {"number": None},
        {},
    ],
)
def test_values_of_the_list_and_matching_texts_pass(feature: Feature, output: object) -> None:
    assert check(feature, {}, json.dumps(output)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"currency": "eur"}, 'currency: the value is not one of "EUR", "USD"'),
        ({"items": [{"rate": 7}, {"rate": 8}]}, "items[].rate: the value is not one of"),
        ({"number": "AB-12x"}, "a number looks like AB-12 (number: the value does not match"),
        ({"number": "x AB-12"}, "a number looks like AB-12"),
    ],
)
def test_other_values_are_told_by_field_and_not_repeated(
    feature: Feature, output: dict[str, object], message: str
) -> None:
    checked = check(feature, {}, json.dumps(output))
    assert checked.verdict is Verdict.RULE
    assert checked.reason is not None
    assert message in checked.reason
    assert "12x" not in checked.reason


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{currency: [EUR", "{curency: [EUR", 'no field "curency"; did you mean "currency"?'),
        ("[EUR, USD]", "[]", "1 to 1000 items"),
        ("'[A-Z]{2}-\\d+'", "'(?=a)a'", "without lookaround"),
        ("'[A-Z]{2}-\\d+'", "'('", "cannot be read"),
        ('one_of: {currency: [EUR, USD], "items[].rate": [0, 7, 19]}', "one_of: [EUR]", "mapping"),
        ("one_of: {currency", "rule: 'true'\n    one_of: {currency", "exactly one of the keys"),
        (
            'one_of: {currency: [EUR, USD], "items[].rate": [0, 7, 19]}',
            "custom: 'http://x'",
            "name",
        ),
        ('one_of: {currency: [EUR, USD], "items[].rate": [0, 7, 19]}', "custom: a.b:c", "name"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, message: str) -> None:
    assert old in FILE
    with pytest.raises(FeatureError) as caught:
        parse_feature(FILE.replace(old, new))
    assert any(message in problem.message and problem.line for problem in caught.value.problems)


def test_each_kind_is_stored_and_read_again(feature: Feature) -> None:
    checks = (*feature.checks, Check("custom", custom="vat"))
    assert tuple(Check.from_dict(one.to_dict()) for one in checks) == checks
