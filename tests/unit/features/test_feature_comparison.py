"""Whether two answers say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples.judged_feature import SUMMARY
from tierline.base.json_text import JSON
from tierline.features.comparison import Comparison, Kind
from tierline.features.parse import FeatureError, parse_feature


@pytest.mark.parametrize(
    ("how", "one", "other", "same"),
    [
        (Comparison(), {"a": 1, "b": 2.0}, {"b": 2, "a": 1.0}, True),
        (Comparison(), "Paris", "paris", False),
        (Comparison("normalised"), "  Paris,\nFrance ", "paris, france", True),
        (Comparison("normalised"), "ﬁle", "FILE", True),  # a ligature
        (Comparison("normalised"), {"city": "PARIS"}, {"city": "Paris"}, True),
        (Comparison("normalised"), "1", 1, False),
        (Comparison("numeric"), 12.5, "12.50", True),
        (Comparison("numeric"), 12.5, 12.6, False),
        (Comparison("numeric", tolerance=0.1), 12.5, 12.6, True),
        (Comparison("numeric", tolerance=0.1), 12.5, 12.7, False),
        (Comparison("numeric"), "none", "None", True),
        (Comparison("numeric"), True, 1, False),
        (Comparison("numeric"), "nan", "nan", True),  # as text: it is no number
        (Comparison("set"), ["a", "b", "a"], ["b", "a"], True),
        (Comparison("set"), ["a"], ["a", "b"], False),
        (Comparison("set", items="normalised"), ["A "], ["a"], True),
        (Comparison("set"), "a", "a", True),
        (Comparison("set"), {"a": 1}, ["a"], False),
    ],
)
def test_same(how: Comparison, one: JSON, other: JSON, same: bool) -> None:
    assert how.same(one, other) is same
    assert how.same(other, one) is same


FIELDS = Comparison(
    "fields",
    fields={
        "total": Comparison("numeric", tolerance=0.01),
        "name": Comparison("normalised"),
        "tags": Comparison("set"),
    },
)


def test_fields_each_in_their_own_way() -> None:
    one = {"total": 10.0, "name": "Acme GmbH", "tags": ["x", "y"], "note": "not compared"}
    assert FIELDS.same(one, {"total": 10.005, "name": "ACME GMBH", "tags": ["y", "x"]})
    other = {"total": 11, "name": "acme gmbh"}
    assert not FIELDS.same(one, other)
    assert FIELDS.differing(one, other) == ("total", "tags")
    assert FIELDS.differing("not an object", one) == ("total", "name", "tags")


def test_it_is_kept_as_json() -> None:
    assert Comparison.from_dict(FIELDS.to_dict()) == FIELDS


ITEMS = st.one_of(
    st.integers(-3, 3),
    st.floats(-2, 2, allow_nan=False),
    st.sampled_from([1e15, 1e15 + 1, "1", "１", "①", "1.0", "a", "A", "nan", None, True, 1 + 1e-7]),
    st.just(["a"]),
)


@given(st.sampled_from(["exact", "normalised", "numeric"]), st.lists(ITEMS), st.lists(ITEMS))
def test_sets_compare_as_each_item_with_each(
    kind: Kind, one: list[JSON], other: list[JSON]
) -> None:
    for tolerance in (None, 0.5) if kind == "numeric" else (None,):
        how = Comparison(kind, tolerance)
        each = all(any(how.same(a, b) for b in other) for a in one) and all(
            any(how.same(a, b) for a in one) for b in other
        )
        assert Comparison("set", tolerance, items=kind).same(one, other) == each


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{kind: judge}", "a judge needs the key"),
        ("{kind: judge, model: judge}", "a model is written provider:model"),
        ('{kind: judge, model: "class:small"}', "one exact model"),
        ("{kind: fields, fields: {a: {kind: judge}}}", "must be exact or"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(given: str, said: str) -> None:
    text = SUMMARY.format(name="summary")
    start = text.index("comparison: ")
    text = text[:start] + f"comparison: {given}\n" + text[text.index("confidence: ") :]
    with pytest.raises(FeatureError) as caught:
        parse_feature(text, "f.yaml")
    assert any(said in one.message for one in caught.value.problems), caught.value.problems
    assert all(one.line for one in caught.value.problems)
