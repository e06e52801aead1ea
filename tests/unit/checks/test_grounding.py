"""What stands in an input, however it is written there."""

from datetime import UTC, date, datetime
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


CREATED = datetime(2026, 11, 30, tzinfo=UTC)


def stands(value: object, text: str, created_at: datetime | None = CREATED) -> bool:
    return Ground({"text": text}, created_at=created_at).holds(value)


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
    st.dates(min_value=date(1946, 1, 1), max_value=date(2046, 12, 31)),
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
            "%d/%b/%Y",
            "%d%b%y",
            "%d%m%Y",
            "%Y %b %d",
            "%d/%m/%YTIME",
            "%Y-%m-%dT10:45",
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
        ("2017-01-02", "02/JAN/2017"),
        ("2018-03-25", "25032018"),
        ("2018-05-21", "21/05/2018TIME"),
        ("2018-05-21", "DATE:21/05/2018 10:45"),
        ("2018-03-30", "30 MAR 2018 18:25"),
        ("2018-03-30", "30MAR18"),
        ("2018-03-30", "5 of them, Mar 30, 2018"),
        ("2018-04-10", "5 Mar 2018 10 Apr 2018"),
        ("2018-03-05", "5 Mar 2018 10 Apr 2018"),
        ("2018-03-30", "2018年3月30日"),
        ("2018-03-18", "from 18-20/03/2018, and 18.3. – 20.3.2018"),
        ("2018-02-20", "20/02/18"),
        ("1998-02-20", "20/02/98"),
    ],
)
def test_a_date_is_found_in_other_words(value: str, text: str) -> None:
    assert stands(value, text)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-03-02", "1 May 2026", "1 March 2025", "11.03.2026", "2026-03-10", "1 March"),
        *("31 MAR 2026", "10 March 2026", "1 Mar 10:26", "1 Mar 12.26", "price 3.10, year 2026"),
        *("1 Jan 2026 03:01",),
        *("server 1.3.26.4", "103 2026", "01032026777", "marching 1, 2026"),
    ],
)
def test_another_day_is_not_found(text: str) -> None:
    assert not stands("2026-03-01", text)


def test_the_digits_of_a_day_are_not_split() -> None:
    assert not stands("2018-03-20", "30 MAR 2018")
    assert stands("2018-03-30", "30 MAR 2018")


@pytest.mark.parametrize(
    ("value", "created", "found"),
    [
        ("2018-02-20", 2026, True),
        ("2118-02-20", 2026, False),
        ("1918-02-20", 2026, False),
        ("2118-02-20", 2110, True),
        ("2018-02-20", 1998, True),
        ("2018-02-20", 1997, False),
        ("2018-02-20", 2098, True),
        ("2018-02-20", 2099, False),
    ],
)
def test_a_year_of_two_digits_is_near_the_jobs_creation(
    value: str, created: int, found: bool
) -> None:
    assert stands(value, "on 20/02/18", datetime(created, 1, 1, tzinfo=UTC)) is found


def test_a_year_of_two_digits_is_of_any_century_where_the_creation_is_not_known() -> None:
    assert stands("2118-02-20", "on 20/02/18", None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.0, "TEL: 012-345 6789"),
        ("12.00", "TEL: 012-345 6789"),
        ("12.00", "ref 012"),
        (3, "Tel 03-8888 1234"),
        (1234, "Tel. +60 3 8888 1234"),
        (555, "call (212) 555-0100 today"),
        (53, "NO 53, JALAN SAGU 18, 81100 JOHOR BAHRU"),
        (18, "NO 53, JALAN SAGU 18, 81100 JOHOR BAHRU"),
        (81100, "NO 53, JALAN SAGU 18, 81100 JOHOR BAHRU"),
        (221, "221 Baker Street, London"),
        (5, "Hauptstraße 5, 10115 Berlin"),
        (10115, "Hauptstraße 5, 10115 Berlin"),
        (12, "12 rue de Rivoli"),
        (45, "at 10:45"),
        (30, "30 MAR 2018"),
        (2018, "30 MAR 2018"),
        ("12.00", "no. 1200"),
        ("45.90", "4590"),
        (2, "version 1.2.3"),
    ],
)
def test_digits_of_phones_addresses_dates_and_times_are_no_amounts(
    value: object, text: str
) -> None:
    assert not stands(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.0, "TEL: 012-345 6789 TOTAL 12.00"),
        ("12.00", "Tel 03-88881234 12.00"),
        (3, "a 3-room flat on Main Street"),
        (2, "I bought 2 on Baker Street"),
        (5, "qty 05"),
        (53.5, "53.50 Jalan Sagu"),
        (1200, "no. 1200"),
        ("12", "12.00"),
        ("12.00", "12"),
        ("9.00", "RM9.00"),
        (12.5, "1 March 12.50"),
        (3, "3 bottles of St. Emilion"),
    ],
)
def test_amounts_beside_them_are_found(value: object, text: str) -> None:
    assert stands(value, text)


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
