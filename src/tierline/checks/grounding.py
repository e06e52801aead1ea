"""Grounding: whether an answer's values occur in the input, in whatever format.

Text is compared without case, accent encoding, spacing and punctuation; numbers by value in any
common format (1.250,00 is 1250.0); dates by day (1 March 2026 is 2026-03-01). A text that is an
amount with a separator, such as "12.00", is compared as a number. True, false, null and empty text
always pass. Ambiguous formats pass in any reading: a value that is refused is not in the input, but
a value that passes may still be wrong.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from tierline.base.json_text import JSON
from tierline.base.text import folds
from tierline.checks.dates import Dates, dates_in, is_day
from tierline.checks.not_amounts import without_others
from tierline.checks.numbers import numbers_in
from tierline.checks.work import Work

_PATH = re.compile(r"[^.\[\]]+(\[\])*(\.[^.\[\]]+(\[\])*)*")
_STEP = re.compile(r"[^.\[\]]+|\[\]")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ].*)?")
_JOINS = "-/_"  # characters that join the parts of a code
_PIECE = 3  # letters: "INV-" is part of the code that follows, "Order-" may not be
_NEAR = 64  # characters beside a match that are searched for the rest of its code
_APART = "\x00\x00"  # between two texts of an input; no value contains it and no match spans it
_A_STEP = 100  # characters that a plain search reads per step of work
_FIND = 1024 * 1024  # characters per search call, during which no other thread can run
_LONGEST_AMOUNT = 80  # characters, with its currency and signs
_AMOUNT = re.compile(r"[^\w]*+(?:[a-z]{1,3}[^\w]*+)?\d[\d.,'’ ]*+[^\w]*+(?:[a-z]{1,3}[^\w]*+)?")
_SEPARATED = re.compile(r"\d[.,'’]\d")
_SHORT = 4  # with fewer letters and digits than this, spacing counts: "12" is not in "1 2"
_CATEGORY = unicodedata.category


def is_path(text: str) -> bool:
    """Whether the text is a path such as total, buyer.name or items[].sku."""
    return _PATH.fullmatch(text) is not None


def values_at(value: JSON, path: str) -> Iterator[JSON]:
    """Every value at the path; none if a step is missing."""
    values = [value]
    for step in _STEP.findall(path):
        if step == "[]":
            values = [item for here in values if isinstance(here, list) for item in here]
        else:
            values = [here[step] for here in values if isinstance(here, dict) and step in here]
    yield from values


class Ground:
    """One input, prepared for looking up many values. Each value is looked up once."""

    def __init__(
        self, input: JSON, work: Work | None = None, created_at: datetime | None = None
    ) -> None:
        """`created_at`: when the input was submitted. A date whose year has two digits lies within
        80 years before and 20 years after; None: in any century.

        Raises TooMuch if `work` is used up, as each look-up does.
        """
        self._work = work or Work()
        self._created_year = created_at.year if created_at else None
        texts: dict[str, None] = {}
        self._given: set[Decimal] = set()
        rest = [input]
        while rest:
            item = rest.pop()
            if isinstance(item, str):
                texts[item] = None
            elif isinstance(item, dict):
                rest.extend(item.values())
            elif isinstance(item, list):
                rest.extend(item)
            elif isinstance(item, int | float) and not isinstance(item, bool):
                texts[str(item)] = None
                self._given.add(Decimal(str(item)))
        # All texts are joined into one, so that the cost of a look-up does not grow with their
        # number.
        self._text = _Text(_APART.join(_normal(text, self._work) for text in texts), self._work)
        self._held: dict[str | int | float, bool] = {}

    def holds(self, value: JSON) -> bool:
        """Whether the value, or everything inside it, occurs in the input."""
        if isinstance(value, dict):
            return all(self.holds(item) for item in value.values())
        if isinstance(value, list):
            return all(self.holds(item) for item in value)
        if value is None or isinstance(value, bool):
            return True
        self._work.spend(1)
        held = self._held.get(value)
        if held is None:
            held = (
                self._holds_text(value)
                if isinstance(value, str)
                else self._holds_number(Decimal(str(value)))
            )
            self._held[value] = held
        return held

    def _holds_text(self, value: str) -> bool:
        needle = _Text(_normal(value, self._work), self._work)
        if not needle.plain.strip():
            return True
        if self._is_amount(needle.plain):
            # Without its punctuation, 12.00 would be found in 1200.
            return self._holds_as_number(needle.plain)
        day = _DATE.fullmatch(value)
        if day is not None:
            # Without its punctuation, 2026-03-08 would be found in "1 Jan 2026 03:08".
            return self._holds_date(day) or self._holds_literally(needle.plain)
        if self._text.holds(needle, self._work):
            return True
        return self._holds_as_number(needle.plain)

    def _holds_literally(self, plain: str) -> bool:
        self._work.spend(1 + len(self._text.plain) // 10)
        return re.search(rf"(?<!\w){re.escape(plain)}(?!\w)", self._text.plain) is not None

    def _is_amount(self, plain: str) -> bool:
        """Whether a text is one amount with a separator, such as "1250.00 EUR"."""
        if len(plain) > _LONGEST_AMOUNT or not _AMOUNT.fullmatch(plain):
            return False
        return bool(_SEPARATED.search(plain) and numbers_in(plain, self._work))

    def _holds_as_number(self, plain: str) -> bool:
        """Whether a text that is only an amount, such as "1250.00 EUR", occurs as a number."""
        if len(plain) > _LONGEST_AMOUNT or not _AMOUNT.fullmatch(plain):
            return False
        return any(
            self._holds_number(number) for number in numbers_in(plain, self._work) if number >= 0
        )

    def _holds_number(self, number: Decimal) -> bool:
        return number in self._numbers

    def _holds_date(self, match: re.Match[str]) -> bool:
        year, month, day = (int(part) for part in match.groups())
        if not is_day(year, month, day):
            return False
        dates = self._dates
        if dates.holds((year, month, day), self._created_year):
            return True
        # The day without a year: the year may stand elsewhere.
        apart = Decimal(year) in self._numbers
        if (month, day) in dates.named:
            return apart or year in dates.years
        return apart and (month, day) in dates.numeric

    @cached_property
    def _dates(self) -> Dates:
        return dates_in(self._text.plain, self._work)

    @cached_property
    def _numbers(self) -> set[Decimal]:
        plain = without_others(self._text.plain, self._dates, self._work)
        return self._given | numbers_in(plain, self._work)


class _Text:
    """A normalised text, in full and reduced to its letters and digits."""

    def __init__(self, plain: str, work: Work) -> None:
        work.spend(len(plain))
        self.plain = plain
        letters: list[str] = []
        self._places = array("I")  # the place in plain of each of those characters
        self._starts = bytearray(len(plain) + 1)  # 1 at offsets in compact where a word begins
        self._ends = bytearray(len(plain) + 1)  # 1 at offsets in compact just after a word's end
        starts, ends, places, category_of = self._starts, self._ends, self._places, _CATEGORY
        inside = False
        for place, character in enumerate(plain):
            category = category_of(character)
            word = category[0] in "LNM"
            alone = category == "Lo"  # scripts that do not separate words by spaces
            if word:
                if not inside or alone:
                    starts[len(letters)] = 1
                letters.append(character)
                places.append(place)
                if alone:
                    ends[len(letters)] = 1
            else:
                if inside:
                    ends[len(letters)] = 1
                if character == _APART[0]:  # a match may not run from one text into the next
                    letters.append(character)
                    places.append(place)
            inside = word and not alone
        ends[len(letters)] = 1
        self.compact = "".join(letters)
        self._joined: dict[tuple[int, int], bool] = {}  # by place in plain, and direction

    def holds(self, needle: "_Text", work: Work) -> bool:
        """Whether the needle occurs here as whole words."""
        if not needle.compact:
            work.spend(len(self.plain) // _A_STEP)
            return needle.plain.strip() in self.plain
        size = len(needle.compact)
        digits = any(character.isdigit() for character in needle.compact)
        at = self._find(needle.compact, 0, work)
        while at >= 0:
            whole = self._starts[at] and self._ends[at + size]
            if whole and self._same_gaps(at, needle):
                if not digits:
                    return True
                work.spend(2)
                if not self._of_a_longer_code(at, size, work):
                    return True
            following = self._starts.find(1, at + 1, len(self.compact))
            if following < 0:
                return False
            at = self._find(needle.compact, following, work)
        return False

    def _find(self, sought: str, start: int, work: Work) -> int:
        """The next place of `sought` in compact; -1 if there is none."""
        while start < len(self.compact):
            end = start + _FIND
            at = self.compact.find(sought, start, end + len(sought))
            work.spend(1 + ((at if at >= 0 else min(end, len(self.compact))) - start) // _A_STEP)
            if at >= 0:
                return at
            start = end
        return -1

    def _same_gaps(self, at: int, needle: "_Text") -> bool:
        size = len(needle.compact)
        return size >= _SHORT or self._starts[at : at + size] == needle._starts[:size]

    def _of_a_longer_code(self, at: int, size: int, work: Work) -> bool:
        """Whether the match at `at` is a part of a longer code: 4417 in 4417-B or INV-4417."""
        first, behind = self._places[at], self._places[at + size - 1] + 1
        return self._joins(first, -1, work) or self._joins(behind, 1, work)

    def _joins(self, place: int, way: int, work: Work) -> bool:
        """Whether a code continues from `place`, backwards (-1) or forwards (1)."""
        joins = self._joined.get((place, way))
        if joins is None:
            work.spend(4)
            beside = (
                self.plain[place : place + _NEAR]
                if way > 0
                else self.plain[max(0, place - _NEAR) : place][::-1]
            )
            joins = self._joined[place, way] = _joined(beside)
        return joins


def _joined(beside: str) -> bool:
    """Whether a code continues in `beside`, which is read outwards from the match."""
    if not beside or beside[0] not in _JOINS:
        return False
    piece = re.match(r"\w*", beside[1:])
    assert piece is not None, "the pattern also matches empty text"
    word = piece.group()
    return bool(word) and (len(word) <= _PIECE or any(one.isdigit() for one in word))


def _normal(text: str, work: Work) -> str:
    parts = []
    for part in folds(text):
        work.spend(len(part) // 4)
        parts.append(part)
    return "".join(parts)
