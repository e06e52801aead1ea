"""Rules: what holds, what is broken, and what would cost too much."""

import pytest

from tierline.checks.rules import MAX_ITEMS, RuleBroken, compile_rule, rule, unbounded_arrays
from tierline.checks.work import TooMuch


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


BILL = {
    "lines": [{"amount": 0.1}, {"amount": 0.2}],
    "total": 0.3,
    "issued": "2026-03-01",
    "due": "2026-03-31T10:00:00Z",
    "none": [],
}


@pytest.mark.parametrize(
    "text",
    [
        "abs(sum(output.lines.map(l, l.amount)) - output.total) <= 0.01",
        "sum(output.lines.map(l, l.amount)) == output.total",
        "sum(output.none) == 0",
        "round(output.total) == 0",
        "round(output.total - 2.8) == -3",
        "min(output.total, 1.0) == 0.3 && max(output.total, 1.0) == 1",
        "max(output.lines.map(l, l.amount)) == 0.2",
        "days(output.issued, output.due) == 30",
        "days(output.due, output.issued) == -30",
        "date(output.due) > date(output.issued)",
        "date(output.due) - date(output.issued) <= duration('720h')",
        "days(date(output.issued), output.due) <= 30.0",
    ],
)
def test_a_rule_adds_rounds_and_measures_days(text: str) -> None:
    assert holds(text, BILL)


def test_halves_are_rounded_away_from_zero() -> None:
    assert holds("round(output.a, 2) == 2.68 && round(output.b) == -3", {"a": 2.675, "b": -2.5})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sum(output.total) > 0", "sum needs a list of numbers, not a number"),
        ("sum(output.lines) > 0", "sum needs numbers, not an object"),
        ("min(output.none) > 0", "min needs at least one number"),
        ("days(output.issued, 'hunter2') > 0", "days needs a date such as 2026-03-01, not another"),
        ("abs(output.total, 2) > 0", "abs does not take 2 values"),
        ("round(output.total, 1.5) > 0", "round takes 0 to 12 digits"),
    ],
)
def test_a_function_says_what_it_needs_and_not_what_it_was_given(
    text: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuleBroken, match=message):
        holds(text, BILL)
    assert capfd.readouterr() == ("", "")


def test_a_sum_inside_a_macro_over_a_long_list_is_not_begun() -> None:
    with pytest.raises(TooMuch):
        holds("output.all(a, sum(output) >= a)", list(range(500)))


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
    ("text", "message"),
    [
        ("output.total >=", "not a CEL expression: column 16"),
        ("", "not a CEL expression"),
        ("outptu > 1", "reads outptu"),
        ("total(output) > 1", "calls total"),
        ("true", "neither input nor output"),
        ("(" * 2000 + "output" + ")" * 2000, "characters"),
        ("(" * 17 + "output" + ")" * 17, "17|16 deep"),
        ("output.all(a, output.all(b, output.all(c, true)))", "at most one macro"),
        ("output.all(a, output.all(b, true) && output.all(c, true))", "at most one macro"),
        ("output.map(a, a).map(b, output.map(c, output.map(d, d)))", "at most one macro"),
    ],
)
def test_a_rule_that_cannot_run_is_refused_when_compiled(text: str, message: str) -> None:
    with pytest.raises(RuleBroken, match=message):
        compile_rule(text)


def test_macros_beside_each_other_are_taken() -> None:
    assert holds("output.all(a, a > 0) && output.all(b, b < 9)", [1, 2])


def test_a_macro_over_too_many_items_is_not_begun() -> None:
    with pytest.raises(TooMuch, match="maxItems"):
        holds("output.all(a, a >= 0)", list(range(MAX_ITEMS + 1)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input.text.matches(output.pattern)", "literal string"),
        ("output.items.all(i, input.text.matches(i))", "literal string"),
        ("input.text.matches('a' + output.more)", "literal string"),
        ("input.text.matches(output.more + 'a')", "literal string"),
        ("matches(input.text, output.more)", "literal string"),
        ("input.text.matches('\\\\w{1,90}')", "takes too long to prepare"),
        ("input.text.matches('\\\\p{L}{0,90}x')", "takes too long to prepare"),
        ("input.text.matches('((a{0,90}){0,90}){0,9}b')", "takes too long to prepare"),
    ],
)
def test_a_pattern_that_only_the_answer_knows_or_that_is_dear_is_refused(
    text: str, message: str
) -> None:
    with pytest.raises(RuleBroken, match=message):
        compile_rule(text)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        # All of these, and each nearly without end, if they were begun.
        ("output.l.all(a, output.l.all(b, output.s.matches('^[a-z]+$')))", {"s": "x"}),
        ("output.l.all(a, output.s.matches('^\\\\w+$'))", {"s": "x"}),
        ("size(output.l.map(a, output.l.map(b, output.s + 'x'))) > 0", {"s": "x" * 100_000}),
        ("output.l.all(a, output.l.all(b, output.s.contains('zz')))", {"s": "x" * 1_000_000}),
        (f"({'output.l + ' * 60}output.l).all(a, output.l.all(b, a >= b))", {}),
    ],
    ids=["patterns", "letters", "joined texts", "searches", "joined lists"],
)
def test_a_rule_that_would_take_too_long_over_what_it_reads_is_not_begun(
    text: str, output: dict[str, object]
) -> None:
    with pytest.raises(TooMuch, match="too long over 1000 items"):
        holds(text, {"l": [1] * MAX_ITEMS, **output})
    assert isinstance(holds(text, {"l": [1], "s": "x"}), bool)


@pytest.mark.parametrize(
    "text",
    [
        "output.l.all(a, output.l.exists(b, a == b))",
        "output.l.all(a, a + 1.0 > 0.0) && output.l.exists(a, a == 1.0)",
        "output.s.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}$') || true",
        "output.s.matches('^\\\\w+$') && output.s.contains('x')",
    ],
)
def test_what_a_rule_does_usually_is_never_too_long(text: str) -> None:
    assert holds(text, {"l": [1] * 400, "s": "x" * 1000})


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
