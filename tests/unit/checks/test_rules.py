"""Rules: what holds, what is broken, and what would cost too much."""

import pytest

from tierline.checks.rules import MAX_ITEMS, RuleBroken, compile_rule, rule, unbounded_arrays


def holds(text: str, output: object, input: object = None) -> bool:
    return compile_rule(text).holds(input or {}, output)


@pytest.mark.parametrize(
    "text",
    [
        "output.total >= 0",
        "output.total == 5",
        "output.count / 2.0 == 1.5",
        "size(output.items) == 2",
        "output.items.all(item, item.q > 0)",
        "output.items.exists(a, output.items.exists(b, a.q < b.q))",
        "!has(output.missing)",
        "input.text.contains('five')",
        "output.name.matches('^[a-z]+$')",
        "output.name != 'items.all(x, y)'",
        "{'a': 1.0}['a'] < output.total",
        "output.none == null",
    ],
)
def test_a_rule_is_cel_over_input_and_output(text: str) -> None:
    output = {"total": 5, "count": 3, "items": [{"q": 1}, {"q": 2}], "name": "x", "none": None}
    assert holds(text, output, {"text": "five"})


def test_every_number_is_a_double() -> None:
    assert holds("type(output) == type(1.0)", 1)


@pytest.mark.parametrize(
    "text",
    ["output.missing > 0", "output.total + 1 > 0.0", "output.total", "output.name.matches('[')"],
)
def test_a_rule_that_errors_or_gives_no_boolean_is_broken(text: str) -> None:
    with pytest.raises(RuleBroken):
        holds(text, {"total": 5, "name": "x"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("output.total >=", "not a CEL expression: column 16"),
        ("", "not a CEL expression"),
        ("outptu > 1", "reads outptu"),
        ("sum(output) > 1", "calls sum"),
        ("true", "neither input nor output"),
        ("(" * 2000 + "output" + ")" * 2000, "characters"),
        ("(" * 17 + "output" + ")" * 17, "17|16 deep"),
        ("output.all(a, output.all(b, output.all(c, true)))", "at most one macro"),
        ("output.all(a, output.all(b, true) && output.all(c, true))", "at most one macro"),
        ("output.map(a, a).map(b, output.map(c, output.map(d, d)))", "at most one macro"),
    ],
)
def test_a_rule_that_cannot_run_is_refused_when_compiled(text: str, said: str) -> None:
    with pytest.raises(RuleBroken, match=said):
        compile_rule(text)


def test_macros_beside_each_other_are_taken() -> None:
    assert holds("output.all(a, a > 0) && output.all(b, b < 9)", [1, 2])


def test_a_macro_over_too_many_items_is_not_begun() -> None:
    with pytest.raises(RuleBroken, match="maxItems"):
        holds("output.all(a, a >= 0)", list(range(MAX_ITEMS + 1)))


def test_arrays_without_a_bound_are_found_anywhere_in_a_schema() -> None:
    schema = {
        "properties": {
            "a": {"type": "array", "maxItems": 1000},
            "b": {"type": ["array", "null"], "maxItems": 1001},
            "items": {"type": "string"},
            "c": {"anyOf": [{"items": {"type": "string"}}]},
        }
    }
    assert list(unbounded_arrays(schema)) == [("properties", "b"), ("properties", "c", "anyOf", 0)]


def test_a_rule_is_compiled_once() -> None:
    assert rule("output == 1") is rule("output == 1")


def test_a_whole_number_beyond_a_double_does_not_break_a_rule() -> None:
    assert holds("output > 0", 10**400)
