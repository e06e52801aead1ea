"""Numbers, amounts and times as the console writes them."""

from datetime import UTC, datetime
from decimal import Decimal

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def usd(amount: Decimal | None) -> str:
    """An amount in USD: cents from a dollar on, four significant digits below."""
    if amount is None:
        return "unknown"
    if amount == 0:
        return "$0"
    if abs(amount) >= 1:
        return f"${amount:,.2f}"
    digits = -amount.adjusted() + 2
    return f"${amount:.{max(2, digits)}f}"


def seconds(duration_s: float | None) -> str:
    """A duration in the unit that people would use."""
    if duration_s is None:
        return "–"
    if duration_s < 1:
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < MINUTE_S:
        return f"{duration_s:.1f} s"
    if duration_s < HOUR_S:
        return f"{duration_s / MINUTE_S:.0f} min"
    if duration_s < 2 * DAY_S:
        return f"{duration_s / HOUR_S:.1f} h"
    return f"{duration_s / DAY_S:.0f} days"


def ago(at: datetime, now: datetime) -> str:
    """How long ago a time was."""
    past_s = (now - at).total_seconds()
    if past_s < -1:
        return f"in {seconds(-past_s)}"
    if past_s < 1:
        return "now"
    if past_s < MINUTE_S:
        return f"{past_s:.0f} s ago"
    return f"{seconds(past_s)} ago"


def exact(at: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def share(part: float | None) -> str:
    """A share as a percentage."""
    if part is None:
        return "–"
    return f"{part:.0%}" if part in (0, 1) or 0.1 <= part <= 0.995 else f"{part:.1%}"


def count(number: int | None) -> str:
    """A number with separators."""
    return "–" if number is None else f"{number:,}"
