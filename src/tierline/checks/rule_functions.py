"""Functions that rules have beside CEL's own: sum, abs, round, min, max, date and days.

Sums and roundings are decimal, so that 0.1 + 0.2 is 0.3 as on paper. Errors name the function and
the kind of what it was given, never the value.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

Function = Callable[..., object]
MOST_DIGITS = 12  # decimals that round takes


def total(values: object) -> float:
    """`sum(list)`: the sum of numbers; 0 for an empty list."""
    return float(sum((_decimal(value, "sum") for value in _list(values, "sum")), Decimal(0)))


def absolute(value: object) -> float:
    """`abs(number)`."""
    return abs(_number(value, "abs"))


def rounded(value: object, digits: object = 0.0) -> float:
    """`round(number)` or `round(number, digits)`: half away from zero, as on an invoice."""
    places = _number(digits, "round")
    if not places.is_integer() or not 0 <= places <= MOST_DIGITS:
        raise ValueError(f"round takes 0 to {MOST_DIGITS} digits")
    exact = _decimal(value, "round")
    if exact.adjusted() > 18:  # a double has no decimals there, and quantize would need more digits
        return float(exact)
    return float(exact.quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP))


def smallest(*values: object) -> float:
    """`min(list)` or `min(number, …)`."""
    return min(_several(values, "min"))


def largest(*values: object) -> float:
    """`max(list)` or `max(number, …)`."""
    return max(_several(values, "max"))


def day(text: object) -> datetime:
    """`date(text)`: the start of the ISO day (2026-03-01, or a date-time) in UTC."""
    return datetime.combine(_day(text, "date"), datetime.min.time(), UTC)


def days(first: object, second: object) -> float:
    """`days(from, to)`: days from one date to another; negative if the second is earlier."""
    return float((_day(second, "days") - _day(first, "days")).days)


FUNCTIONS: dict[str, Function] = {
    "sum": total,
    "abs": absolute,
    "round": rounded,
    "min": smallest,
    "max": largest,
    "date": day,
    "days": days,
}
LISTS = frozenset({"sum", "min", "max"})  # read a list


def _list(value: object, name: str) -> Iterable[object]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} needs a list of numbers, not {_kind(value)}")
    return value


def _several(values: tuple[object, ...], name: str) -> list[float]:
    if len(values) == 1 and isinstance(values[0], list | tuple):
        values = tuple(values[0])
    if not values:
        raise ValueError(f"{name} needs at least one number")
    return [_number(value, name) for value in values]


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} needs numbers, not {_kind(value)}")
    return float(value)


def _decimal(value: object, name: str) -> Decimal:
    number = _number(value, name)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{name} needs numbers that a double can hold")
    return Decimal(repr(number))


def _day(value: object, name: str) -> date:
    if isinstance(value, datetime):  # a timestamp of CEL
        return value.astimezone(UTC).date()
    if isinstance(value, str):
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            pass
        raise ValueError(f"{name} needs a date such as 2026-03-01, not another text")
    raise ValueError(f"{name} needs a date such as 2026-03-01, not {_kind(value)}")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", float: "a number", int: "a number", str: "text"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a list")
