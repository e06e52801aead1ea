"""Amounts and times as callers read them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tierline.base.formats import many, usd, when


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0", "0"),
        ("0.000420", "0.00042"),
        ("1E+2", "100"),
        ("12.50", "12.5"),
        ("1E-9", "0.000000001"),
    ],
)
def test_an_amount_has_no_exponent_and_no_idle_zeros(amount: str, written: str) -> None:
    assert usd(Decimal(amount)) == written


def test_a_time_is_utc_to_the_microsecond_whatever_its_zone() -> None:
    assert when(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000Z"
    east = timezone(timedelta(hours=2))
    assert when(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=east)) == "2026-01-02T01:04:05.000006Z"
    assert when(None) is None


def test_a_noun_agrees_with_its_number() -> None:
    assert [many(number, "job") for number in (0, 1, 1200)] == [
        "0 jobs",
        "1 job",
        "1,200 jobs",
    ]
    assert many(1, "row is", "rows are") == "1 row is"
    assert many(2, "row is", "rows are") == "2 rows are"
