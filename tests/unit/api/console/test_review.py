"""What the page Review shows of an answer."""

from api.console.views.review import MOST_SHOWN, Segment, parts_of
from tierline.checks.evidence import GroundedValue


def test_each_field_is_a_part_whose_evidence_is_marked() -> None:
    parts = parts_of({"text": "pay 12.50 now", "pages": 2}, [GroundedValue("amount", 12.5, True)])
    assert [part.name for part in parts] == ["text", "pages"]
    assert parts[0].segments == [
        Segment("pay ", None),
        Segment("12.50", "amount"),
        Segment(" now", None),
    ]
    assert parts[1].segments == [Segment("2", None)]


def test_other_values_are_one_part() -> None:
    for value, text in (("a text", "a text"), ([1], "[\n  1\n]"), ({}, "{}"), (None, "null")):
        (part,) = parts_of(value)
        assert (part.name, part.segments) == ("", [Segment(text, None)])


def test_a_long_text_is_cut_over_all_parts() -> None:
    parts = parts_of({"a": "x" * (MOST_SHOWN - 1), "b": "y" * 10, "c": "z"})
    assert [part.left_out for part in parts] == [0, 9, 1]
    assert parts[2].segments == [Segment("", None)]
