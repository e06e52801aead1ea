"""Amounts and shares in options: exact decimals, with a range check."""

from decimal import Decimal

from tierline.base.digits import decimal
from tierline.base.errors import UsageError


def above_zero(option: str, text: str) -> Decimal:
    """Raises UsageError unless it is a number above 0."""
    amount = _number(option, text, "an amount, such as 2.50")
    if amount <= 0:
        raise UsageError(f"{option} is {text}: it must be above 0")
    return amount


def share(option: str, text: str) -> Decimal:
    """Raises UsageError unless it is from 0 to 1."""
    value = _number(option, text, "a share, such as 0.1")
    if not 0 <= value <= 1:
        raise UsageError(f"{option} is {text}: it lies between 0 and 1")
    return value


def within(option: str, value: float, least: float, most: float) -> None:
    """Raises UsageError unless it is from `least` to `most`, and below 1."""
    if not least <= value <= most or value >= 1.0:
        raise UsageError(f"{option} is {value:g}: it must be between {least:g} and {most:g}")


def _number(option: str, text: str, expected: str) -> Decimal:
    try:
        number = decimal(text)
    except ValueError:
        number = Decimal("nan")
    if not number.is_finite():
        raise UsageError(f"{option} is {text!r}: give {expected}")
    return number
