"""The form that is made from an output schema."""

from typing import Any

import pytest

from api.console.views.schema_form import MOST_FIELDS, fields_of, read_form, shown
from api.console.visible import visible
from tierline.base.errors import InvalidInput

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "amount", "kind"],
    "properties": {
        "name": {"type": "string", "description": "whose it is"},
        "amount": {"type": "number"},
        "count": {"type": "integer"},
        "paid": {"type": "boolean"},
        "kind": {"enum": ["bill", "letter", 3]},
        "note": {"type": ["string", "null"]},
        "lines": {"type": "array", "items": {"type": "object"}},
    },
}
OUTPUT = {
    "name": "Ann",
    "amount": 12.5,
    "count": 3,
    "paid": False,
    "kind": "letter",
    "note": None,
    "lines": [{"a": 1}],
}


NAMES = {one.label: one.name for one in fields_of(SCHEMA, OUTPUT)}


def typed_of(labels: dict[str, str]) -> dict[str, str]:
    """What a form sends, by the names of its fields."""
    return {NAMES[label]: text for label, text in labels.items()}


def texts(schema: Any, output: Any) -> dict[str, str]:
    return {one.field.name: one.text for one in shown(fields_of(schema, output), output)}


def test_each_simple_property_is_a_field_of_its_kind_and_what_is_nested_is_json() -> None:
    fields = fields_of(SCHEMA, OUTPUT)
    kinds = ["text", "number", "integer", "boolean", "enum", "text", "json"]
    assert [field.kind for field in fields] == kinds
    assert [field.required for field in fields] == [True, True, False, False, True, False, False]
    assert fields[0].hint == "whose it is"
    choices = {one.field.label: one.choices for one in shown(fields, OUTPUT)}
    assert choices["kind"] == ("bill", "letter", "3")
    assert choices["paid"] == ("true", "false")


@pytest.mark.parametrize(
    ("schema", "output"),
    [
        (SCHEMA, OUTPUT),
        (SCHEMA, {"name": "a\nb", "amount": 0, "kind": 3, "paid": True, "note": "x"}),
        ({"enum": ["a", "b"]}, "b"),
        ({"type": "string"}, "a text\nof two lines"),
        ({"type": "array"}, [1, {"a": None}]),
        ({"type": "object"}, {"a": 1}),
        ({"type": "object", "properties": {"a": {}}}, {"a": 1, "of no property": 2}),
        ({"type": "object", "properties": {f"p{n}": {} for n in range(MOST_FIELDS + 1)}}, {}),
        ({"type": "object", "properties": {"n": {"enum": [1, True]}}}, {"n": True}),
        ({"type": "object", "properties": {"n": {"enum": ["x", None]}}}, {"n": None}),
    ],
)
def test_a_form_that_is_sent_as_it_was_shown_says_the_same(schema: Any, output: Any) -> None:
    stored = read_form(fields_of(schema, output), texts(schema, output))
    expected = output
    if isinstance(output, dict) and isinstance(stored, dict) and "note" in stored:
        expected = {"note": None, **output}
    assert stored == expected


@pytest.mark.parametrize("text", ["a\u200bb", "a\r\nb", "a\x1b[1m", "\u202eabc", "", "a\rb"])
def test_hidden_characters_of_a_text_that_was_not_changed_stay(text: str) -> None:
    output = {**OUTPUT, "name": text}
    fields = fields_of(SCHEMA, output)
    sent = {name: visible(shown) for name, shown in texts(SCHEMA, output).items()}
    assert read_form(fields, sent, output) == output
    changed = read_form(fields, {**sent, NAMES["name"]: "Bob"}, output)
    assert changed == {**output, "name": "Bob"}
    assert read_form(fields_of({"type": "string"}, text), {"v": visible(text)}, text) == text


def test_what_is_typed_is_read_by_the_fields_kind() -> None:
    fields = fields_of(SCHEMA, OUTPUT)
    typed = typed_of({"name": "Bob", "amount": " 13 ", "paid": "0", "kind": "2", "lines": "[]"})
    assert read_form(fields, typed) == {
        "name": "Bob",
        "amount": 13,
        "paid": True,
        "kind": 3,
        "note": None,
        "lines": [],
    }


@pytest.mark.parametrize(
    ("field", "text", "path"),
    [
        ("amount", "", "/expected/amount"),
        ("amount", "true", "/expected/amount"),
        ("amount", "12,5", "/expected/amount"),
        ("count", "[1]", "/expected/count"),
        ("paid", "2", "/expected/paid"),
        ("kind", "", "/expected/kind"),
        ("kind", "bill", "/expected/kind"),
        ("lines", "{", "/expected/lines"),
        ("lines", "[" * 5_000, "/expected/lines"),
    ],
)
def test_what_cannot_be_read_is_named(field: str, text: str, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_form(fields_of(SCHEMA, OUTPUT), {**texts(SCHEMA, OUTPUT), NAMES[field]: text})
    assert [problem.path for problem in refused.value.problems] == [path]


def test_a_schema_in_another_order_gives_the_same_form() -> None:
    turned = {**SCHEMA, "properties": dict(reversed(list(SCHEMA["properties"].items())))}
    assert fields_of(turned, OUTPUT) == fields_of(SCHEMA, OUTPUT)
    assert [field.label for field in fields_of(SCHEMA, {"paid": True})][:2] == ["paid", "amount"]


def test_a_refused_form_keeps_what_was_typed() -> None:
    fields = fields_of(SCHEMA, OUTPUT)
    assert [one.text for one in shown(fields, OUTPUT, typed_of({"amount": "12,5"}))][:2] == [
        "",
        "12,5",
    ]
