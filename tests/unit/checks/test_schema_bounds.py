"""Schemas that would cost more than any value is worth are refused when a feature is applied."""

from typing import Any

import pytest

from tests.support.samples.features import INVOICE
from tierline.base.errors import FeatureError
from tierline.checks.schema import schema_faults, spoken_path
from tierline.features.parse import parse_feature

AROUND = "^(?=.*[0-9])[a-z0-9]+$"
BACK = r"^(\w+) \1$"


def doubled(levels: int, word: str) -> dict[str, Any]:
    """Each definition refers to the one below it twice."""
    definitions: dict[str, Any] = {"a0": {"type": "string"}}
    for level in range(1, levels + 1):
        below = {"$ref": f"#/$defs/a{level - 1}"}
        definitions[f"a{level}"] = {word: [below, dict(below)]}
    return {"$defs": definitions, "$ref": f"#/$defs/a{levels}"}


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("levels", [16, 60])
def test_references_that_double_at_every_step_are_refused(word: str, levels: int) -> None:
    (fault,) = schema_faults(doubled(levels, word))
    assert "unfolds to more than" in fault.message


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
        {"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}]},
        {"$anchor": "here", "properties": {"x": {"$ref": "#here"}}},
        doubled(8, "anyOf"),
    ],
)
def test_a_schema_that_refers_to_itself_is_walked_to_an_end(schema: dict[str, Any]) -> None:
    assert schema_faults(schema) == []


@pytest.mark.parametrize("pattern", [AROUND, BACK])
@pytest.mark.parametrize(
    ("around", "path"),
    [
        (lambda p: {"items": {"pattern": p}}, "items.pattern"),
        (lambda p: {"contains": {"pattern": p}}, "contains.pattern"),
        (lambda p: {"additionalProperties": {"pattern": p}}, "additionalProperties.pattern"),
        (lambda p: {"propertyNames": {"pattern": p}}, "propertyNames.pattern"),
        (lambda p: {"patternProperties": {p: {}}}, None),
        (
            lambda p: {"items": {"maxItems": 50, "items": {"pattern": p}}, "maxItems": 50},
            "items.items.pattern",
        ),
        (
            lambda p: {"$defs": {"a": {"pattern": p}}, "items": {"$ref": "#/$defs/a"}},
            "items.pattern",
        ),
        (lambda p: {"properties": {"a": {"$ref": "#"}, "b": {"pattern": p}}}, None),
    ],
)
def test_a_pattern_that_goes_back_and_forth_is_refused_where_values_can_repeat_it(
    pattern: str, around: Any, path: str | None
) -> None:
    faults = schema_faults(around(pattern))
    assert faults
    assert all("at most 1,000 times" in fault.message for fault in faults)
    assert path is None or path in [spoken_path(fault.path) for fault in faults]


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": AROUND},
        {"properties": {"a": {"pattern": BACK}, "b": {"anyOf": [{"pattern": AROUND}]}}},
        {"maxItems": 1000, "items": {"pattern": AROUND}},
        {"maxProperties": 20, "patternProperties": {AROUND: {}}},
        {"items": {"pattern": "^[a-z]+(-[a-z]+)*$"}},
        {"prefixItems": [{"pattern": AROUND}, {"pattern": BACK}]},
        {"enum": [{"pattern": AROUND}]},
    ],
)
def test_a_pattern_that_is_tried_a_bounded_number_of_times_is_taken(schema: dict[str, Any]) -> None:
    assert schema_faults(schema) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{$ref: 'https://example.com/schema.json'}", "within the schema"),
        ("{$ref: 'file:///etc/passwd'}", "within the schema"),
        ("{$dynamicRef: 'other.json#x'}", "within the schema"),
        ("{type: array, items: {pattern: '^(?=a)b'}}", "needs maxItems"),
        ("{type: string, pattern: '('}", "regex"),
    ],
)
def test_each_is_told_on_its_line_of_the_feature_file(value: str, message: str) -> None:
    text = INVOICE.replace("total: {type: number}", f"total: {value}")
    line = 1 + INVOICE[: INVOICE.index("total: {type: number}")].count("\n")
    with pytest.raises(FeatureError) as caught:
        parse_feature(text, "f.yaml")
    problems = [problem for problem in caught.value.problems if message in problem.message]
    assert [problem.line for problem in problems] == [line]
