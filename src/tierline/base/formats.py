"""How amounts and times are written in the API, in webhooks and in files, and numbers in words."""

from datetime import UTC, datetime
from decimal import Decimal


def usd(amount: Decimal) -> str:
    """An amount as a decimal string, without exponent and trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def when(time: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the microsecond."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def many(number: int, one: str, several: str | None = None) -> str:
    """A number with its noun: "1 job", "1,200 jobs". `several`: if it is not `one` with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
