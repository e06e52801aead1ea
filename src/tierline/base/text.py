"""Text from outside in one form for comparing: without case, width and the order of its accents.

Whoever compares texts that others wrote uses `folded`, never `unicodedata.normalize` itself: that
takes time by the square of a run of combining marks, and holds the interpreter all the while
(measured: 235,000 marks stopped a worker's heartbeat for minutes). Here a run is bounded first, as
Unicode's Stream-Safe Text Format does it (UAX #15, section 13), and a long text goes in slices.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

MOST_MARKS = 30  # in a run: more than any language writes (UAX #15: 30 non-starters)
SLICE = 8 * 1024  # characters normalised in one call, which no other thread can interrupt
_JOINER = "\u034f"  # combining grapheme joiner: a starter, shown as nothing, ends a run
_ASTRAL = range(0x10000, 0x1F000)  # holds every mark beyond the basic plane, and no emoji
BLOCKS = (range(0x3400), range(0xA000, 0xAC00), range(0xF900, 0x17000), range(0x1B000, 0x20000))
"""Where characters stand that are marks, or that have parts; a test looks at all the others."""


def folded(text: str) -> str:
    """`text` in compatibility form (NFKC) without case, the same for texts that read the same.

    Takes time by the length. One character may become 18, so that the result may be longer.
    Between marks that are more than MOST_MARKS in a run stands U+034F.
    """
    if text.isascii():
        return text.lower()  # what casefold and NFKC make of it
    return "".join(folds(text))


def folds(text: str) -> Iterator[str]:
    """`folded`, part by part, for who counts what comes."""
    for part in slices(text):
        yield part.lower() if part.isascii() else _fold(part)


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
        marks: list[int] = []  # nothing but non-starters is left of them
        later: list[int] = []  # may become one with the character before: no slice begins there
        composed: list[int] = []
        for number in chain(*BLOCKS):
            if unicodedata.combining(chr(number)):
                marks.append(number)
            elif unicodedata.decomposition(chr(number)):
                composed.append(number)
        seconds = set(map(chr, (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))))  # Hangul's
        for number in composed:
            parts = unicodedata.decomposition(chr(number)).split()
            if len(parts) == 2 and not parts[0].startswith("<"):
                seconds.add(chr(int(parts[1], 16)))
        for number in composed:
            parts_of = unicodedata.normalize("NFKD", chr(number))
            if all(map(unicodedata.combining, parts_of)):
                marks.append(number)
            elif unicodedata.combining(parts_of[0]) or parts_of[0] in seconds:
                later.append(number)
        mark = _class(marks)
        # Beyond the basic plane marks stand in a hundred places, and each that a class names takes
        # time for every character of an ordinary text: here they are one.
        most = _class([*(number for number in marks if number < _ASTRAL.start), *_ASTRAL])
        self.doubtful = re.compile(f"{most}{most}{{{MOST_MARKS}}}")
        self.too_many = re.compile(f"{mark}{mark}{{{MOST_MARKS}}}")
        self.full = re.compile(f"{mark}{{{MOST_MARKS}}}(?={mark})")
        self.boundary = re.compile(f"[^{_class([*marks, *later, *map(ord, seconds)])[1:]}")


@lru_cache(maxsize=1)
def _forms() -> _Forms:
    return _Forms()  # 20 ms, for processes that meet more than ASCII


def _class(numbers: Iterable[int]) -> str:
    """A pattern's class of these code points."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] >= number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return "[" + "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in spans) + "]"
