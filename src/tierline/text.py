"""Text from outside in one form for comparing: without case, width and the order of its accents.

Whoever compares texts that others wrote uses `folded`, never `unicodedata.normalize` itself: that
takes time by the square of a run of combining marks, and holds the interpreter all the while
(measured: 235,000 marks stopped a worker's heartbeat for minutes). Here a run is bounded first, as
Unicode's Stream-Safe Text Format does it (UAX #15, section 13), and a long text goes in slices.
"""

import re
import unicodedata
from functools import lru_cache

MOST_MARKS = 30  # in a run: more than any language writes (UAX #15: 30 non-starters)
SLICE = 8 * 1024  # characters normalised in one call, which no other thread can interrupt
_JOINER = "\u034f"  # combining grapheme joiner: a starter, shown as nothing, ends a run
_ASTRAL = (0x10000, 0x1EFFF)  # holds every mark beyond the basic plane, and no emoji
_BLOCKS = range(0x20000)  # where marks stand: the planes 0 and 1; a test looks at the others


def folded(text: str) -> str:
    """`text` in compatibility form (NFKC) without case, the same for texts that read the same.

    Takes time by the length. One character may become 18, so that the result may be longer.
    Between marks that are more than MOST_MARKS in a run stands U+034F.
    """
    if text.isascii():
        return text.lower()  # what casefold and NFKC make of it
    return "".join(_fold(part) for part in slices(text))


def slices(text: str) -> list[str]:
    """`text` with its runs of marks bounded, in parts that may be normalised one by one."""
    forms = _forms()
    if forms.doubtful.search(text) and forms.too_many.search(text):
        text = forms.full.sub(rf"\g<0>{_JOINER}", text)
    parts = []
    start = 0
    while len(text) - start > SLICE:
        found = forms.boundary.search(text, start + SLICE)
        if found is None:
            break
        parts.append(text[start : found.start()])
        start = found.start()
    parts.append(text[start:])
    return parts


def _fold(part: str) -> str:
    # Casefolding may undo composition and ask for it anew: U+0345 becomes a letter.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())


class _Forms:
    """The patterns of this Python's version of Unicode."""

    def __init__(self) -> None:
        marks = [number for number in _BLOCKS if only_marks(chr(number))]
        later = [number for number in _BLOCKS if joins_before(chr(number))]
        mark = f"[{_ranges(marks)}]"
        # Beyond the basic plane marks stand in a hundred places, and each that a class names takes
        # time for every character of an ordinary text: here they are one.
        most = f"[{_ranges([number for number in marks if number < _ASTRAL[0]])}{_span(*_ASTRAL)}]"
        self.doubtful = re.compile(f"{most}{most}{{{MOST_MARKS}}}")
        self.too_many = re.compile(f"{mark}{mark}{{{MOST_MARKS}}}")
        self.full = re.compile(f"{mark}{{{MOST_MARKS}}}(?={mark})")
        self.boundary = re.compile(f"[^{_ranges(sorted({*marks, *later}))}]")


@lru_cache(maxsize=1)
def _forms() -> _Forms:
    return _Forms()  # 60 ms, for processes that meet more than ASCII


def only_marks(character: str) -> bool:
    """Whether nothing but non-starters is left of it, so that it makes a run longer."""
    if unicodedata.combining(character):
        return True
    if not unicodedata.decomposition(character):
        return False
    return all(map(unicodedata.combining, unicodedata.normalize("NFKD", character)))


def joins_before(character: str) -> bool:
    """Whether it may become one with the character before it, or move: no slice begins with it."""
    first = character
    if unicodedata.decomposition(character):
        first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.combining(first) != 0 or first in _seconds()


@lru_cache(maxsize=1)
def _seconds() -> frozenset[str]:
    """Starters that are the second part of a composed character, Hangul's vowels and finals too."""
    found = {chr(number) for number in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for number in _BLOCKS:
        parts = unicodedata.decomposition(chr(number)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            second = chr(int(parts[1], 16))
            if not unicodedata.combining(second):
                found.add(second)
    return frozenset(found)


def _ranges(numbers: list[int]) -> str:
    """Sorted code points as the inside of a pattern's character class."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return "".join(_span(first, last) for first, last in spans)


def _span(first: int, last: int) -> str:
    return rf"\U{first:08x}-\U{last:08x}"
