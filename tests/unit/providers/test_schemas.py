"""A JSON Schema in each provider's dialect: what is said, what is left out, what cannot be said."""

from typing import Any

import pytest

from tierline.providers.schemas import for_anthropic, for_azure, for_gemini, for_openai

Schema = dict[str, Any]

CLOSED: Schema = {
    "type": "object",
    "properties": {"a": {"type": "number"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN = {name: value for name, value in CLOSED.items() if name != "additionalProperties"}
OPTIONAL: Schema = {**CLOSED, "required": []}


def holding(schema: Schema) -> Schema:
    return {**CLOSED, "properties": {"a": schema}}


def test_openai_is_strict_about_a_closed_object_with_all_its_names() -> None:
    assert for_openai(CLOSED) == (CLOSED, True)


def test_an_open_object_is_narrowed_to_its_names() -> None:
    assert for_openai(OPEN) == (CLOSED, True)
    assert for_anthropic(OPEN) == CLOSED


def test_a_name_that_may_be_left_out_is_not_forced_on_openais_models() -> None:
    assert for_openai(OPTIONAL) == (OPTIONAL, False)


def test_anthropic_and_gemini_may_leave_a_name_out() -> None:
    for converted in (for_anthropic(OPTIONAL), for_gemini(OPTIONAL)):
        assert converted is not None
        assert "required" not in converted
        assert converted["properties"] == {"a": {"type": "number"}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": CLOSED},
        {"type": "string", "enum": ["a", "b"]},
        {"anyOf": [CLOSED, CLOSED]},
    ],
)
def test_openai_answers_with_objects_only(schema: Schema) -> None:
    assert for_openai(schema) is None
    assert for_anthropic(schema) is not None


@pytest.mark.parametrize(
    "inner",
    [
        {"type": "string", "minLength": 3, "maxLength": 9},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    ],
)
def test_a_bound_that_openai_has_no_word_for_is_left_to_the_check(inner: Schema) -> None:
    converted = for_openai(holding(inner))
    assert converted is not None
    spoken, strict = converted
    assert strict
    kept = {name: inner[name] for name in ("type", "items") if name in inner}
    assert spoken["properties"]["a"] == kept


def test_a_bound_that_anthropic_has_no_word_for_is_left_to_the_check() -> None:
    inner = {"type": "integer", "minimum": 1, "multipleOf": 2}
    assert for_anthropic(holding(inner)) == holding({"type": "integer"})


@pytest.mark.parametrize(("least", "sent_least"), [(0, 0), (1, 1), (2, None)])
def test_anthropic_knows_an_array_with_none_or_one_at_least(
    least: int, sent_least: int | None
) -> None:
    inner = {"type": "array", "items": {"type": "string"}, "minItems": least}
    spoken = for_anthropic(holding(inner))
    assert spoken is not None
    assert spoken["properties"]["a"].get("minItems") == sent_least


def test_gemini_says_a_constant_as_an_enum_of_one() -> None:
    assert for_gemini(holding({"type": "string", "const": "x"})) == holding(
        {"type": "string", "enum": ["x"]}
    )


def test_one_of_becomes_any_of() -> None:
    choice = {"oneOf": [{"type": "string"}, {"type": "null"}]}
    for converted in (for_anthropic(holding(choice)), for_gemini(holding(choice))):
        assert converted is not None
        assert converted["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    "inner",
    [
        {},  # anything
        True,
        {"type": "object"},  # any names
        {"type": "object", "additionalProperties": {"type": "number"}},
        {"type": "array"},
        {"$ref": "https://example.com/other.json"},
        {"enum": [{"a": 1}]},
    ],
    ids=str,
)
def test_what_cannot_be_said_is_not_said_half(inner: Any) -> None:
    assert for_anthropic(holding(inner)) is None
    whole = holding(inner)
    assert for_openai(whole) == (whole, False)


def test_definitions_go_along() -> None:
    schema = {**holding({"$ref": "#/$defs/n"}), "$defs": {"n": {"type": "number", "minimum": 0}}}
    converted = for_anthropic(schema)
    assert converted is not None
    assert converted["$defs"] == {"n": {"type": "number"}}
    assert converted["properties"]["a"] == {"$ref": "#/$defs/n"}


def test_a_schema_that_leads_to_itself_is_said_to_openai_alone() -> None:
    tree = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
        "required": ["next"],
    }
    schema = {**holding({"$ref": "#/$defs/tree"}), "$defs": {"tree": tree}}
    assert for_anthropic(schema) is None
    assert for_openai(schema) is not None
    assert for_gemini(schema) is None


@pytest.mark.parametrize(
    "bound", [{"pattern": "^A"}, {"format": "date"}, {"minLength": 2}, {"maxLength": 5}]
)
def test_azure_refuses_bounds_so_that_none_is_said_to_it(bound: dict[str, Any]) -> None:
    converted = for_azure(holding({"type": "string", **bound}))
    assert converted == (holding({"type": "string"}), True)
