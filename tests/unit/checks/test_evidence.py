"""Where grounded values stand in a text."""

import time
from datetime import UTC, datetime

import pytest

from tierline.checks.evidence import MOST_PLACES, GroundedValue, grounded_values, places
from tierline.features.task import Check

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def found(text: str, *values: str | int | float) -> list[str]:
    grounded = [GroundedValue("f", value, None) for value in values]
    return [text[one.start : one.end] for one in places(text, grounded, NOW)]


@pytest.mark.parametrize(
    ("text", "value", "marked"),
    [
        ("Dear Ms  ADA\nLovelace, thanks", "Ada Lovelace", ["ADA\nLovelace"]),
        ("order A-12 and A-123", "A-12", ["A-12"]),
        ("it costs 1.250,00 EUR or 12,50", 1250, ["1.250,00"]),
        ("minus -5 of 50", -5, ["5"]),
        ("sum: 1,250.00", "1250.00 EUR", ["1,250.00"]),
        ("on 1 March 2026 and 2026-03-02", "2026-03-01", ["1 March 2026"]),
        ("due 28.02.2026.", "2026-02-28", ["28.02.2026"]),
        ("nothing of it", "elsewhere", []),
        ("", "x", []),
    ],
)
def test_a_value_is_found_in_the_formats_that_people_write(
    text: str, value: str | int | float, marked: list[str]
) -> None:
    assert found(text, value) == marked


def test_places_are_in_order_and_do_not_overlap() -> None:
    text = "Ada Lovelace of London, Ada"
    spans = places(text, [GroundedValue("n", v, True) for v in ("Ada", "Ada Lovelace", "London")])
    assert [text[one.start : one.end] for one in spans] == ["Ada Lovelace", "London", "Ada"]


def test_the_values_of_grounded_fields_are_told_with_whether_the_check_finds_them() -> None:
    checks = [Check("grounded", fields=("total", "lines[].sku")), Check("rule", rule="true")]
    output = {"total": 12.5, "lines": [{"sku": "A-1"}, {"sku": "B-2"}], "other": "x"}
    values = grounded_values(checks, {"text": "A-1 costs 12,50"}, output)
    assert [(one.field, one.value, one.in_input) for one in values] == [
        ("total", 12.5, True),
        ("lines[].sku", "A-1", True),
        ("lines[].sku", "B-2", False),
    ]
    assert grounded_values([], {"text": ""}, output) == []


@pytest.mark.parametrize(
    "text", ["1 " * 20_000, "a" * 40_000, "1.1.1" * 8_000, "May 1, " * 6_000, " " * 40_000]
)
def test_no_text_takes_long(text: str) -> None:
    values = [GroundedValue("f", value, None) for value in (1, "a b", "2026-05-01", 1.1) * 15]
    begun_s = time.thread_time()
    marked = places(text, values, NOW)
    assert time.thread_time() - begun_s < 2.0
    assert len(marked) <= MOST_PLACES * len(values)
