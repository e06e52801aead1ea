"""Numbers, amounts and times as the console writes them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from api.console.views import formats

NOW = datetime(2026, 5, 1, 12, 0, 0, 250_000, UTC)


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "unknown"),
        (Decimal(0), "$0"),
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal("0.25"), "$0.250"),
        (Decimal("0.000012345"), "$0.0000123"),
        (Decimal("-2"), "$-2.00"),
    ],
)
def test_amounts(amount: Decimal | None, written: str) -> None:
    assert formats.usd(amount) == written


@pytest.mark.parametrize(
    ("duration_s", "written"),
    [(None, "–"), (0.0421, "42 ms"), (3.14, "3.1 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_durations(duration_s: float | None, written: str) -> None:
    assert formats.seconds(duration_s) == written


@pytest.mark.parametrize(
    ("past", "written"),
    [
        (timedelta(seconds=0), "now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-90), "in 2 min"),
    ],
)
def test_relative_times(past: timedelta, written: str) -> None:
    assert formats.ago(NOW - past, NOW) == written


def test_exact_times_are_in_utc() -> None:
    assert formats.exact(NOW) == "2026-05-01 12:00:00.250 UTC"


@pytest.mark.parametrize(
    ("part", "written"), [(None, "–"), (0.0, "0%"), (1.0, "100%"), (0.873, "87%"), (0.012, "1.2%")]
)
def test_shares(part: float | None, written: str) -> None:
    assert formats.share(part) == written
