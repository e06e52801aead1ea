"""What a rule touches, held against the schemas."""

from typing import Any

import pytest

from tierline.checks.rule_fields import rule_faults
from tierline.checks.rules import tokens_of

LINE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"amount": {"type": "number"}, "sku": {"type": "string"}},
}
SCHEMAS: dict[str, Any] = {
    "output": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "total": {"type": "number"},
            "label": {"type": "string", "enum": ["urgent", "low"]},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            "free": {"type": "object"},
            "either": {"type": ["string", "null"]},
        },
        "$defs": {"line": LINE},
    },
    "input": {"type": "object", "properties": {"text": {"type": "string"}}},
}


def faults(rule: str) -> list[tuple[str, bool]]:
    return [(one.message, one.certain) for one in rule_faults(tokens_of(rule), SCHEMAS)]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("output.totl > 3", 'output has no "totl"; did you mean "total"?'),
        ("output['totl'] > 3", 'output has no "totl"; did you mean "total"?'),
        ("has(output.totl)", 'output has no "totl"; did you mean "total"?'),
        ("output.lines.all(l, l.amnt > 0)", 'l has no "amnt"; did you mean "amount"?'),
        ("output.lines[0].skuu == 'a'", 'output.lines[…] has no "skuu"; did you mean "sku"?'),
        ("output.total.net > 1", 'output.total is a number, so it has no "net"'),
        ("output.total > '3'", "compares output.total (number) with '3' (text)"),
        ("true == output.total", "compares true (true or false) with output.total (number)"),
        ("output.lines.all(l, l.sku == 5)", "compares l.sku (text) with 5 (number)"),
        ("output.total == output.label", "compares output.total (number) with output.label"),
        ("output.label != 'urgnt'", 'output.label is never "urgnt"; did you mean "urgent"?'),
    ],
)
def test_what_cannot_be_meant_is_a_fault(rule: str, said: str) -> None:
    [(message, certain)] = faults(rule)
    assert message.startswith(said)
    assert certain


@pytest.mark.parametrize(
    "rule",
    [
        "output.total >= 0 && output.label == 'urgent'",
        "sum(output.lines.map(l, l.amount)) == output.total",
        "output.lines.exists(a, output.lines.exists(b, a.sku == b.sku && a.amount < b.amount))",
        "output.lines.map(l, l.amount).all(a, a > 0)",
        "size(output.label) > 3 && output.label.startsWith('u')",
        "output.free.anything == 'x' && output.free['b'] > 1",
        "output.either == null || output.either == 'x'",
        "output.total + 1.0 > output.total * 2.0",
        "'3' + output.label == '3low'",
        "output.label in ['urgent']",
        "output.lines[0].sku == input.text",
        "input.other.deep == 5",
        "output == {'total': 5.0}",
    ],
)
def test_what_may_be_meant_is_none(rule: str) -> None:
    assert faults(rule) == []


def test_a_name_near_a_known_one_in_an_open_schema_is_only_probable() -> None:
    [(message, certain)] = faults("input.txt == 'a'")
    assert 'did you mean "text"?' in message
    assert not certain
