"""Where an answer's grounded values stand in a text of its input, to show them to people.

It only points: whether a value is grounded is decided by `grounding`, which reads more formats. So
a value may be grounded and have no place here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from tierline.base.json_text import JSON
from tierline.base.text import folded
from tierline.checks.dates import Dates, dates_in
from tierline.checks.grounding import Ground, values_at
from tierline.checks.numbers import numbers_in
from tierline.checks.work import TooMuch, Work
from tierline.features.task import Check

MOST_VALUES = 60
MOST_PLACES = 20  # of one value
MOST_READ = 1_000  # numbers, and dates, of one text
LONGEST_TEXT = 40_000  # characters that are searched
_LONGEST_VALUE = 400
_NUMBER = re.compile(r"\d+(?:[.,'’_ \u00a0\u202f]\d+)*")
_WORD = r"[^\W\d_]{3,12}\.?"
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?\s(?:of\s)?{_WORD},?\s\d{{2,4}}"
    rf"|{_WORD}\s\d{{1,2}}(?:st|nd|rd|th)?,?\s\d{{2,4}}"
)
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ].*)?")


class ValueSpan(NamedTuple):
    """Characters of a text, from `start` on and before `end`."""

    start: int
    end: int
    field: str  # whose value they are


@dataclass(frozen=True)
class GroundedValue:
    """A value that must occur in the input."""

    field: str  # its path in the output
    value: str | int | float
    in_input: bool | None  # whether the check finds it there; None: too much to check


def grounded_values(
    checks: Sequence[Check], input: JSON, output: JSON, created_at: datetime | None = None
) -> list[GroundedValue]:
    """The values of the fields that the checks want grounded, at most MOST_VALUES."""
    fields = [field for check in checks if check.kind == "grounded" for field in check.fields]
    if not fields:
        return []
    work = Work()
    ground = _ground(input, work, created_at)
    values: list[GroundedValue] = []
    for field in dict.fromkeys(fields):
        for value in _leaves(list(values_at(output, field))):
            if len(values) < MOST_VALUES:
                values.append(GroundedValue(field, value, _held(ground, value)))
    return values


def places(
    text: str, values: Sequence[GroundedValue], created_at: datetime | None = None
) -> list[ValueSpan]:
    """Where the values stand in the text, in order and without overlaps."""
    read = _Text(text[:LONGEST_TEXT], None if created_at is None else created_at.year)
    candidates: list[ValueSpan] = []
    for one in values:
        candidates += [ValueSpan(start, end, one.field) for start, end in read.spans(one.value)]
    apart: list[ValueSpan] = []
    # Of two that overlap, the earlier and longer one.
    for place in sorted(candidates, key=lambda place: (place.start, -place.end)):
        if not apart or place.start >= apart[-1].end:
            apart.append(place)
    return apart


def _ground(input: JSON, work: Work, created_at: datetime | None) -> Ground | None:
    try:
        return Ground(input, work, created_at)
    except TooMuch:
        return None


def _held(ground: Ground | None, value: JSON) -> bool | None:
    try:
        return None if ground is None else ground.holds(value)
    except TooMuch:
        return None


def _leaves(values: list[JSON]) -> Iterator[str | int | float]:
    """The texts and numbers in the values; true, false, null and empty text need no evidence."""
    for value in values:
        if isinstance(value, dict):
            yield from _leaves(list(value.values()))
        elif isinstance(value, list):
            yield from _leaves(value)
        elif isinstance(value, str):
            if value.strip():
                yield value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield value


class _Text:
    """A text whose numbers and dates are read once."""

    def __init__(self, text: str, created_year: int | None) -> None:
        self._text = text
        self._year = created_year

    def spans(self, value: str | int | float) -> list[tuple[int, int]]:
        """Where the value stands."""
        if not isinstance(value, str):
            return self._numbers_like({abs(Decimal(str(value)))})
        if len(value) > _LONGEST_VALUE:
            return []
        words = r"\s+".join(re.escape(word) for word in value.split())
        literal = re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
        spans = [match.span() for match in islice(literal.finditer(self._text), MOST_PLACES)]
        if spans:
            return spans
        day = _DAY.fullmatch(value.strip())
        if day is not None:
            year, month, of_month = (int(part) for part in day.groups())
            sought = (year, month, of_month)
            held = (span for span, dates in self._dates if dates.holds(sought, self._year))
            return list(islice(held, MOST_PLACES))
        return self._numbers_like({abs(number) for number in numbers_in(value)})

    def _numbers_like(self, sought: set[Decimal]) -> list[tuple[int, int]]:
        return list(islice((span for span, read in self._numbers if read & sought), MOST_PLACES))

    @cached_property
    def _numbers(self) -> list[tuple[tuple[int, int], set[Decimal]]]:
        return [
            (match.span(), {abs(number) for number in numbers_in(match.group())})
            for match in islice(_NUMBER.finditer(self._text), MOST_READ)
        ]

    @cached_property
    def _dates(self) -> list[tuple[tuple[int, int], Dates]]:
        matches = islice(_DATE.finditer(self._text), MOST_READ)
        return [(match.span(), dates_in(folded(match.group()))) for match in matches]
