"""How often a schema comes back to itself for one value: what doubles is found, a tree is not."""

from typing import Any

import pytest

from tierline.checks.schema import SchemaCheck
from tierline.checks.schema_unfolding import unfolding_of

NODE = {"$ref": "#/$defs/node"}


def defined(node: Any) -> dict[str, Any]:
    return {**NODE, "$defs": {"node": node}}


def deep(levels: int) -> Any:
    value: Any = 5
    for _ in range(levels):
        value = {"c": value}
    return value


@pytest.mark.parametrize(
    ("schema", "branches"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, 0),
        (defined({"properties": {"left": NODE, "right": NODE}}), 1),
        (defined({"type": "array", "items": NODE}), 1),
        (defined({"prefixItems": [NODE, NODE], "properties": {"c": NODE}}), 1),
        ({"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}}, 1),
        (defined({"anyOf": [{"properties": {"c": NODE}}, {"properties": {"c": NODE}}]}), 2),
        (defined({"properties": {"c": {"allOf": [NODE, NODE, NODE]}}}), 3),
        (defined({"properties": {"c": NODE}, "patternProperties": {"": NODE}}), 2),
        (defined({"prefixItems": [NODE], "contains": NODE, "items": NODE}), 3),
        (defined({"properties": {"a": {"properties": {"c": {"allOf": [NODE, NODE]}}}}}), 2),
        (defined({"allOf": [{"items": {"items": NODE}}, {"items": {"prefixItems": [NODE]}}]}), 2),
        (
            {
                "$ref": "#/$defs/one",
                "$defs": {
                    "one": {"allOf": [{"$ref": "#/$defs/two"}, {"$ref": "#/$defs/two"}]},
                    "two": {"properties": {"c": {"$ref": "#/$defs/one"}}},
                },
            },
            2,
        ),
    ],
)
def test_references_to_one_place_below_are_counted(schema: dict[str, Any], branches: int) -> None:
    assert unfolding_of(schema).branches == branches


def test_a_deep_value_is_refused_only_where_the_schema_doubles() -> None:
    tree = SchemaCheck(defined({"properties": {"c": NODE}}))
    below = {"properties": {"c": NODE}}
    twice = SchemaCheck(defined({"allOf": [below, below]}))
    assert tree.faults(deep(60)) == []
    assert twice.faults(deep(10)) == []
    (fault,) = twice.faults(deep(60))
    assert "too much to check" in fault.message


def test_a_large_value_is_told_one_fault_and_a_small_one_all() -> None:
    check = SchemaCheck({"items": {"type": "object", "required": ["x"]}})
    assert [one.path for one in check.faults([{}] * 3)] == [(0,), (1,), (2,)]
    assert [one.path for one in check.faults([{}] * 100_000)] == [(0,)]
    choice = SchemaCheck({"items": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
    assert "too large to list every fault" in choice.faults([5] * 100_000)[0].message
