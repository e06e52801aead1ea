"""Numbers as people write them: 1,250.00, 1.250,00, 1 250,00, 1'250.00, 12,50,000 and -5.

A number is read whole, with its separators. Parts of a date (2026-02-21, 1.3.2026), digits of a
reference (SH-20817, 4417-B), pieces of 1.2.3 and padded digits (012) do not count as amounts. Small
models often mistake them for amounts, and grounding must notice that.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from tierline.checks.work import Work

_SPAN = re.compile(r"\d+(?:[.,'’_]\d+)*|(?<![\d.,])[.,]\d+")
_DATE = re.compile(r"(?<![\d/-])\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?![\d/-])")
_REFERENCE = re.compile(r"[^\W\d_][-/]$")  # text before the digits of a reference
_REFERENCE_AFTER = re.compile(r"[-/][^\W\d_]{1,2}(?!\w)")  # text after them, as in 4417-B
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?!\d)")
_MINUS = re.compile(r"(?:[-−–(]|minus)\s*(?:[^\w\s]|[a-z]{3})?\s*$")
_MINUS_AFTER = re.compile(r"\s?[-−–](?!\w)")
_CUT = re.compile(r"\D\D")
_SLICE = 256 * 1024  # characters; about 10 ms
_STEPS = 12  # steps of work to read one number
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})
_PADDED = re.compile(
    r"0\d{2,}"
)  # "05" may be an amount; "012" is a part of a code or a phone number
_MAX_DIGITS = 60  # longer runs are not amounts, and int() of thousands of digits is slow


def numbers_in(text: str, work: Work | None = None) -> set[Decimal]:
    """Every number that the text may contain; an ambiguous one gives all its readings.

    Raises TooMuch if there are more than the rest of `work` allows.
    """
    work = work or Work()
    work.spend(len(text) // 4)
    text = "".join(
        _DATE.sub(_spaces_kept, text[start:end]) for start, end in _slices(text.translate(_SPACES))
    )
    numbers: set[Decimal] = set()
    for start, end in _slices(text):
        for pattern in (_SPAN, _SPACED):
            for match in pattern.finditer(text, start, end):
                work.spend(_STEPS)
                numbers |= _signed(text, match, _readings(match.group().replace(" ", "")))
    return numbers


def _slices(text: str) -> Iterator[tuple[int, int]]:
    """Slices of the text that do not cut a number: a number never has two adjacent non-digits. One
    search of a long text without numbers would block the interpreter until its end.
    """
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + _SLICE)
        end = len(text) if cut is None else cut.start() + 1
        yield start, end
        start = end


def _spaces_kept(match: re.Match[str]) -> str:
    """An empty text if the match looks like a date, unless it is an amount such as 1.250.000."""
    return match.group() if _grouped(match.group().split(".")) else " "


def _signed(text: str, match: re.Match[str], values: set[Decimal]) -> set[Decimal]:
    before = text[max(0, match.start() - 12) : match.start()]
    if _REFERENCE.search(before) or _REFERENCE_AFTER.match(text, match.end()):
        return set()
    if _MINUS.search(before) or _MINUS_AFTER.match(text, match.end()):
        return values | {-value for value in values}
    return values


def _readings(span: str) -> set[Decimal]:
    if len(span) > _MAX_DIGITS:
        return set()
    parts = re.split(r"[.,'’_]", span)
    marks = re.findall(r"[.,'’_]", span)
    if not marks:
        return set() if _PADDED.fullmatch(span) else {Decimal(span)}
    readings: set[Decimal] = set()
    whole = "".join(parts)
    if len(set(marks)) == 1 and _grouped(parts):
        readings.add(Decimal(whole))
    if len(marks) == 1 and marks[0] in ".,":
        readings.add(Decimal(f"{parts[0] or 0}.{parts[1]}"))
    mixed = marks[-1] in ".," and marks[-1] != marks[0] and len(set(marks[:-1])) == 1
    if mixed and _grouped(parts[:-1]):
        readings.add(Decimal(f"{''.join(parts[:-1])}.{parts[-1]}"))
    if readings or set(marks) != {","}:
        return readings
    return {Decimal(part) for part in parts if part and not _PADDED.fullmatch(part)}  # 1,2,3


def _grouped(parts: list[str]) -> bool:
    """Whether the parts are a number's groups: thousands, or the Indian 12,50,000."""
    first, *middle, last = parts if len(parts) > 1 else [*parts, ""]
    if not 1 <= len(first) <= 3 or len(last) != 3:
        return False
    sizes = {len(part) for part in middle}
    return sizes <= {3} or (sizes == {2} and len(first) <= 2)
