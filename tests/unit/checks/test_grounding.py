"""What stands in an input, however it is written there."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.checks.grounding import Ground, is_path, values_at

FORMATS = {
    "1,250.00": lambda text: text,
    "1.250,00": lambda text: text.translate(str.maketrans(",.", ".,")),
    "1 250,00": lambda text: text.translate(str.maketrans(",.", " ,")),
    "1\u202f250,00": lambda text: text.translate(str.maketrans(",.", "\u202f,")),
    "1'250.00": lambda text: text.replace(",", "'"),
    "1250.00": lambda text: text.replace(",", ""),
}


def stands(value: object, text: str) -> bool:
    return Ground({"text": text}).holds(value)


@given(
    st.decimals(min_value=0, max_value=Decimal("99999999.99"), places=2),
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(["{}", "Total: {} EUR", "€{}", "EUR {},-", "sum={};", "(2) {}\n3"]),
)
def test_a_number_is_found_in_any_common_format(number: Decimal, form: str, around: str) -> None:
    written = FORMATS[form](f"{number:,.2f}")
    assert stands(float(number), around.format(written))


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=1, max_value=10**9))
def test_another_whole_number_is_not_found(number: int, by: int) -> None:
    assert not stands(number + by, f"the total is {number}.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1250.0, "1.250,00"),
        (1250, "1250.0"),
        (1250000, "12,50,000"),
        (0.5, "about .5 l"),
        (1880.2, "1.880,20 EUR"),
        (12.5, "12,5"),
        (-5, "a balance of -5 EUR"),
        (-5.5, "(5.50)"),
        (12, "١٢"),
        (374.4, "GBP 374.40"),
    ],
)
def test_a_number_is_found_by_its_value(value: float, text: str) -> None:
    assert stands(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(250, "1,250.00"), (1250, "1 260"), (-5, "5 EUR"), (12, "1.2"), (125000, "1,250.00")],
)
def test_another_number_is_not_found(value: float, text: str) -> None:
    assert not stands(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2026, "on 2026-02-21"), (21, "1/21/26"), (3, "vom 1.3.2026"), (20817, "Ref. SH-20817")],
)
def test_parts_of_dates_and_references_are_no_amounts(value: float, text: str) -> None:
    assert not stands(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(20, "10-20 pieces"), (3, "a 3-room flat"), (3, "1,2,3"), (1250000, "1.250.000"), (2, "x2")],
)
def test_joined_figures_that_are_amounts_are_found(value: float, text: str) -> None:
    assert stands(value, text)


@given(
    st.dates(min_value=date(1970, 1, 1), max_value=date(2068, 12, 31)),
    st.sampled_from(
        [
            "%Y-%m-%d",
            "%Y/%m/%d",
            "%Y%m%d",
            "%d.%m.%Y",
            "%d/%m/%y",
            "%m/%d/%Y",
            "%d %B %Y",
            "%B %d, %Y",
            "%d %b %Y",
            "%b %d %Y",
            "%d. %B %Y",
            "%dth of %B, %Y",
        ]
    ),
)
def test_a_date_is_found_in_any_common_format(day: date, form: str) -> None:
    assert stands(day.isoformat(), f"Due: {day.strftime(form)}.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-03-01", "3/1/26"),
        ("2026-03-01", "1. März 2026"),
        ("2026-03-01", "le 1er mars 2026"),
        ("2026-03-01", "on March 1st, in the year 2026"),
        ("2026-03-01T10:00:00Z", "01.03.2026"),
        ("2026-12-24", "24 de diciembre de 2026"),
    ],
)
def test_a_date_is_found_in_other_words(value: str, text: str) -> None:
    assert stands(value, text)


@pytest.mark.parametrize(
    "text", ["2026-03-02", "1 May 2026", "1 March 2025", "11.03.2026", "2026-03-10", "1 March"]
)
def test_another_day_is_not_found(text: str) -> None:
    assert not stands("2026-03-01", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("INV-2041", "Invoice inv 2041"),
        ("INV-2041", "INV2041"),
        ("88/4417", "Nr. 88 / 4417 vom"),
        ("Müller & Söhne", "MU\u0308LLER &  SO\u0308HNE GmbH"),
        ("straße", "STRASSE"),
        ("東京", "住所は東京です"),
        ("€", "12 €"),
        ("1250.00", "1.250,00"),
        ("", "anything"),
    ],
)
def test_a_text_is_found_past_case_spacing_and_punctuation(value: str, text: str) -> None:
    assert stands(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [("A-1", "BA-12"), ("INV-204", "INV-2041"), ("12", "1 2"), ("art", "party"), ("$", "12 €")],
)
def test_a_part_of_a_word_is_not_found(value: str, text: str) -> None:
    assert not stands(value, text)


def test_lists_and_objects_stand_when_all_in_them_does() -> None:
    ground = Ground({"a": ["red", {"b": 3}]})
    assert ground.holds({"x": ["RED", 3.0]})
    assert not ground.holds({"x": ["red", 4]})


def test_null_and_booleans_have_nothing_to_find() -> None:
    assert Ground({}).holds([None, True, False])


def test_a_text_does_not_stand_across_two_fields() -> None:
    assert not Ground(["one", "two"]).holds("one two")


def test_paths_lead_through_objects_and_lists() -> None:
    output = {"items": [{"sku": "a"}, {}, {"sku": "b"}], "buyer": {"name": "x"}}
    assert list(values_at(output, "items[].sku")) == ["a", "b"]
    assert list(values_at(output, "buyer.name")) == ["x"]
    assert list(values_at(output, "seller.name")) == []


@pytest.mark.parametrize("text", ["", ".", "a.", "[]", "a[0]", "a..b", "a[]b"])
def test_what_is_no_path_is_told_apart(text: str) -> None:
    assert not is_path(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4417", "order 4417-B please"),
        ("0417", "Invoice number: HLJ-0417"),
        ("17_2", "file A_17_2_b"),
    ],
)
def test_a_piece_of_a_code_is_not_the_code(value: str, text: str) -> None:
    assert not stands(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4417-B", "order 4417-B please"),
        ("HLJ 0417", "Invoice number: HLJ-0417"),
        ("4417", "Order-4417"),
        ("4417", "order 4417 - B is for later"),
        ("20", "10-20 pieces"),
        ("smith", "Smith-Jones"),
        ("88/4417", "RECHNUNG Nr. 88/4417, 17.05.2026"),
    ],
)
def test_a_whole_code_stands_however_it_is_joined(value: str, text: str) -> None:
    assert stands(value, text)
