"""Grounding: whether an answer's values stand in the input, however they are written there.

Text is compared without case, accents' encoding, spacing and punctuation; numbers by value in any
common format (1.250,00 is 1250.0); dates by day (1 March 2026 is 2026-03-01). True, false, null
and empty text have nothing to find. Lenient where a format is ambiguous: what it refuses is not
there, what it lets through may still be wrong.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from tierline.checks.dates import date_pattern
from tierline.checks.numbers import numbers_in
from tierline.json_text import JSON

_PATH = re.compile(r"[^.\[\]]+(\[\])*(\.[^.\[\]]+(\[\])*)*")
_STEP = re.compile(r"[^.\[\]]+|\[\]")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ].*)?")
_JOINS = "-/_"  # what holds the pieces of a code together
_PIECE = 3  # letters: "INV-" belongs to the code behind it, "Order-" need not
_NEAR = 64  # characters beside a match that are looked at for the rest of its code
_MOST_PLACES = 10_000  # of one value in one text that are looked at: "aa" in a million a's ends
_LONGEST_AMOUNT = 80  # characters, with its currency and signs
_SHORT = 4  # below this many letters and digits, spacing counts: "12" does not stand in "1 2"


def is_path(text: str) -> bool:
    """Whether the text is a path such as total, buyer.name or items[].sku."""
    return _PATH.fullmatch(text) is not None


def values_at(value: JSON, path: str) -> Iterator[JSON]:
    """Every value that the path leads to; none where a step is missing."""
    found = [value]
    for step in _STEP.findall(path):
        if step == "[]":
            found = [item for here in found if isinstance(here, list) for item in here]
        else:
            found = [here[step] for here in found if isinstance(here, dict) and step in here]
    yield from found


class Ground:
    """One input, prepared for looking up many values."""

    def __init__(self, input: JSON) -> None:
        texts: list[str] = []
        self._given: set[Decimal] = set()
        rest = [input]
        while rest:
            item = rest.pop()
            if isinstance(item, str):
                texts.append(item)
            elif isinstance(item, dict):
                rest.extend(item.values())
            elif isinstance(item, list):
                rest.extend(item)
            elif isinstance(item, int | float) and not isinstance(item, bool):
                texts.append(str(item))
                self._given.add(Decimal(str(item)))
        self._texts = [_Text(_normal(text)) for text in texts]

    def holds(self, value: JSON) -> bool:
        """Whether the value, or everything inside it, stands in the input."""
        if isinstance(value, dict):
            return all(self.holds(item) for item in value.values())
        if isinstance(value, list):
            return all(self.holds(item) for item in value)
        if isinstance(value, str):
            return self._holds_text(value)
        if value is None or isinstance(value, bool):
            return True
        return self._holds_number(Decimal(str(value)))

    def _holds_text(self, value: str) -> bool:
        needle = _Text(_normal(value))
        if not needle.plain.strip():
            return True
        if any(text.holds(needle) for text in self._texts):
            return True
        return self._holds_date(value) or self._holds_as_number(needle.plain)

    def _holds_as_number(self, plain: str) -> bool:
        """A text that is nothing but an amount, such as "1250.00 EUR", stands where it does."""
        if len(plain) > _LONGEST_AMOUNT:
            return False  # the pattern below takes time by the cube of what it reads
        if not re.fullmatch(r"[^\w]*[a-z]{0,3}[^\w]*\d[\d.,'’ ]*[^\w]*[a-z]{0,3}[^\w]*", plain):
            return False
        return any(self._holds_number(number) for number in numbers_in(plain) if number >= 0)

    def _holds_number(self, number: Decimal) -> bool:
        return number in self._numbers

    def _holds_date(self, value: str) -> bool:
        match = _DATE.fullmatch(value)
        if match is None:
            return False
        year, month, day = (int(part) for part in match.groups())
        try:
            date(year, month, day)
        except ValueError:
            return False
        if any(date_pattern(year, month, day).search(text.plain) for text in self._texts):
            return True
        return Decimal(year) in self._numbers and any(
            date_pattern(None, month, day).search(text.plain) for text in self._texts
        )

    @cached_property
    def _numbers(self) -> set[Decimal]:
        found = set(self._given)
        for text in self._texts:
            found.update(numbers_in(text.plain))
        return found


@dataclass(frozen=True)
class _Text:
    """A normalised text, as it is and as its letters and digits alone."""

    plain: str
    compact: str = field(init=False)
    places: tuple[int, ...] = field(init=False)  # in plain, of each of those
    starts: frozenset[int] = field(init=False)  # offsets in compact where a word begins
    ends: frozenset[int] = field(init=False)  # and where one has just ended

    def __post_init__(self) -> None:
        letters: list[str] = []
        places: list[int] = []
        starts: set[int] = set()
        ends: set[int] = set()
        inside = False
        for place, character in enumerate(self.plain):
            category = unicodedata.category(character)
            word = category[0] in "LNM"
            alone = category == "Lo"  # scripts that do not part words by spaces
            if word:
                if not inside or alone:
                    starts.add(len(letters))
                letters.append(character)
                places.append(place)
                if alone:
                    ends.add(len(letters))
            elif inside:
                ends.add(len(letters))
            inside = word and not alone
        ends.add(len(letters))
        object.__setattr__(self, "compact", "".join(letters))
        object.__setattr__(self, "places", tuple(places))
        object.__setattr__(self, "starts", frozenset(starts))
        object.__setattr__(self, "ends", frozenset(ends))

    def holds(self, needle: "_Text") -> bool:
        """Whether the needle stands here as whole words."""
        if not needle.compact:
            return needle.plain.strip() in self.plain
        size = len(needle.compact)
        at = -1
        for _ in range(_MOST_PLACES):
            at = self.compact.find(needle.compact, at + 1)
            if at < 0:
                return False
            whole = at in self.starts and at + size in self.ends
            if whole and self._same_gaps(at, needle) and not self._of_a_longer_code(at, size):
                return True
        return False

    def _same_gaps(self, at: int, needle: "_Text") -> bool:
        size = len(needle.compact)
        if size >= _SHORT:
            return True
        here = {step for step in range(size) if at + step in self.starts}
        return here == needle.starts

    def _of_a_longer_code(self, at: int, size: int) -> bool:
        """Whether what stands there is a piece of a code: 4417 of 4417-B, or of INV-4417."""
        if not any(character.isdigit() for character in self.compact[at : at + size]):
            return False
        first, behind = self.places[at], self.places[at + size - 1] + 1
        before = self.plain[max(0, first - _NEAR) : first]
        after = self.plain[behind : behind + _NEAR]
        return _joined(before[::-1]) or _joined(after)


def _joined(beside: str) -> bool:
    """Whether a code goes on in `beside`, which is read away from the piece in question."""
    if not beside or beside[0] not in _JOINS:
        return False
    piece = re.match(r"\w*", beside[1:])
    assert piece is not None, "it matches nothing as well"
    found = piece.group()
    return bool(found) and (len(found) <= _PIECE or any(one.isdigit() for one in found))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
