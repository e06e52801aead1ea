"""What is wrong with a field, in our own words, for each kind of error that pydantic reports.

A message names the value only where the allowed values are a short list or a range.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

MOST_SHOWN = 60  # characters of a value that is not allowed
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")

Error = Mapping[str, Any]

PLAIN: Mapping[str, str] = {
    "missing": "is required and missing",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is a number with too many digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a decimal number",
    "decimal_parsing": "must be a decimal number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "none_required": "must be null",
    "uuid_type": "must be an id such as 01975c2e-7a10-7cc0-8a1f-3f2b9c5d0e11",
    "uuid_parsing": "must be an id such as 01975c2e-7a10-7cc0-8a1f-3f2b9c5d0e11",
    "datetime_type": "must be a time such as 2026-03-01T12:00:00Z",
    "datetime_parsing": "must be a time such as 2026-03-01T12:00:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-03-01T12:00:00Z",
    "date_type": "must be a date such as 2026-03-01",
    "date_parsing": "must be a date such as 2026-03-01",
    "date_from_datetime_parsing": "must be a date such as 2026-03-01",
}

RANGES: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def field_message(error: Error) -> str:
    """The message for one of pydantic's errors, as a sentence that follows the field's name."""
    kind = str(error["type"])
    if kind in PLAIN:
        return PLAIN[kind]
    if kind in RANGES:
        words, name = RANGES[kind]
        return f"must be {words} {_context(error, name)}{_shown(error)}"
    maker = _MADE.get(kind)
    return str(error["msg"]).removeprefix("Value error, ") if maker is None else maker(error)


def _one_of(error: Error) -> str:
    expected = str(_context(error, "expected"))
    allowed = _QUOTED.findall(expected)
    if len(allowed) == 1:
        return f"must be {allowed[0]}{_shown(error)}"
    return f"must be one of {', '.join(allowed) or expected}{_shown(error)}"


def _length(words: str, name: str) -> Callable[[Error], str]:
    return lambda error: f"must have {words} {_counted(_context(error, name), 'character')}"


def _items(words: str, name: str) -> Callable[[Error], str]:
    return lambda error: f"must have {words} {_counted(_context(error, name), 'item')}"


def _form(error: Error) -> str:
    pattern = str(_context(error, "pattern"))
    if "\\x00" in pattern:
        return "must not contain the character NUL"
    return f"must have the form {pattern}"


_MADE: Mapping[str, Callable[[Error], str]] = {
    "literal_error": _one_of,
    "enum": _one_of,
    "string_too_short": _length("at least", "min_length"),
    "string_too_long": _length("at most", "max_length"),
    "too_short": _items("at least", "min_length"),
    "too_long": _items("at most", "max_length"),
    "string_pattern_mismatch": _form,
}


def _context(error: Error, name: str) -> Any:
    return (error.get("ctx") or {}).get(name, "")


def _counted(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def _shown(error: Error) -> str:
    """The value, if it is a short text or a number."""
    value = error.get("input")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, str) and len(value) > MOST_SHOWN:
        return ""
    text = repr(value)
    return f", not {text}" if len(text) <= MOST_SHOWN else ""
