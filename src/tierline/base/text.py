"""Normalises text for comparing: without case, width and the order of accents.

Code that compares texts from outside uses `folded`, never `unicodedata.normalize`. The latter takes
quadratic time for a run of combining marks and blocks the interpreter meanwhile (measured: 235,000
marks stopped a worker's heartbeat for minutes). Here runs are limited first, as in Unicode's
Stream-Safe Text Format (UAX #15, section 13), and a long text is processed in slices.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

MOST_MARKS = 30  # of a run: more than any language uses (UAX #15: 30 non-starters)
SLICE = 8 * 1024  # characters per call, during which no other thread can run
_JOINER = "\u034f"  # combining grapheme joiner: an invisible starter that ends a run
_ASTRAL = range(0x10000, 0x1F000)  # contains every mark beyond the basic plane, and no emoji
BLOCKS = (range(0x3400), range(0xA000, 0xAC00), range(0xF900, 0x17000), range(0x1B000, 0x20000))
"""Ranges with all characters that are marks or have parts; a test checks the other characters."""


def folded(text: str) -> str:
    """`text` in compatibility form (NFKC) without case: equal for texts that read the same.

    It takes linear time. One character may become 18, so the result may be longer. After MOST_MARKS
    marks of a run, U+034F is inserted.
    """
    if text.isascii():
        return text.lower()  # the same result as casefold and NFKC
    return "".join(folds(text))


def folds(text: str) -> Iterator[str]:
    """`folded` in parts, for callers that count work."""
    for part in slices(text):
        yield part.lower() if part.isascii() else _fold(part)


def slices(text: str) -> list[str]:
    """`text` with limited runs of marks, in slices that can be normalised separately."""
    forms = _forms()
    if forms.doubtful.search(text) and forms.too_many.search(text):
        text = forms.full.sub(rf"\g<0>{_JOINER}", text)
    parts = []
    start = 0
    while len(text) - start > SLICE:
        boundary = forms.boundary.search(text, start + SLICE)
        if boundary is None:
            break
        parts.append(text[start : boundary.start()])
        start = boundary.start()
    parts.append(text[start:])
    return parts


def _fold(part: str) -> str:
    # Casefolding may undo composition, so it is normalised again: U+0345 becomes a letter.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())


class _Forms:
    """The patterns for this Python's version of Unicode."""

    def __init__(self) -> None:
        marks: list[int] = []  # characters that consist of non-starters only
        later: list[int] = []  # may combine with the character before, so no slice begins there
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
        # Marks beyond the basic plane are in a hundred places. Each range in a class costs time for
        # every character of ordinary text, so here they are one range.
        most = _class([*(number for number in marks if number < _ASTRAL.start), *_ASTRAL])
        self.doubtful = re.compile(f"{most}{most}{{{MOST_MARKS}}}")
        self.too_many = re.compile(f"{mark}{mark}{{{MOST_MARKS}}}")
        self.full = re.compile(f"{mark}{{{MOST_MARKS}}}(?={mark})")
        self.boundary = re.compile(f"[^{_class([*marks, *later, *map(ord, seconds)])[1:]}")


@lru_cache(maxsize=1)
def _forms() -> _Forms:
    return _Forms()  # 20 ms, only for processes that meet non-ASCII text


def _class(numbers: Iterable[int]) -> str:
    """A pattern's character class of these code points."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] >= number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return "[" + "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in spans) + "]"
