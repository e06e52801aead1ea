"""Digits that are no amounts: those of phone numbers, postal addresses, dates and times of day.

Their digits are taken out before amounts are read, so that "012-345 6789" does not ground 12. What
is taken for a phone number or an address is decided by its form and by the words beside it, so a
number without either still counts.
"""

import re

from tierline.checks.dates import Dates
from tierline.checks.work import Work

_SLICE = 64 * 1024  # characters per search, during which no other thread can run
_LONGEST = 128  # characters of a phone number or an address
_NONE = ";"  # in place of a digit: no part of any number
_DIGIT = re.compile(r"\d")
_POSTCODE = re.compile(r"(?<![\w.,])\d{4,6}(?=[ ,]{1,3}[^\W\d_])")
_POSTCODE_WITHIN = 60  # characters after a street

_NUMBER = r"\d{1,5}[a-z]?(?:[-/&]\d{1,5}[a-z]?){0,3}"
_WORD = r"[^\W\d_]{1,20}\.?"
_SMALL = r"(?:at|by|for|from|in|near|of|on|to|the|and|with)\b"
_ENDS = r"(?=\.?\s*(?:[,;\n\d]|$))"
_STREETS = (
    # 12 Main Street; 5, Elm Rd, …
    re.compile(
        rf"(?<![\w.,-]){_NUMBER},? (?:(?!{_SMALL}){_WORD} ){{0,2}}"
        rf"(?:street|road|avenue|boulevard|highway|(?:st|rd|ave|blvd|hwy){_ENDS})(?!\w)"
    ),
    # 12 rue …; no 7, jalan …
    re.compile(
        rf"(?<![\w.,-]){_NUMBER},? (?:rue|calle|jalan|jln|lorong|persiaran|lebuh|taman)(?!\w)"
    ),
    # Jalan SS 5/3; rue de Rivoli 12
    re.compile(
        r"(?<!\w)(?:jalan|jln|lorong|persiaran|lebuh|taman|rue|calle|rua|avenida)\.?"
        rf"(?: {_WORD},?){{0,3}} {_NUMBER}(?!\w|[.,]\d)"
    ),
    # Hauptstrasse 5, Kungsgatan 12 b
    re.compile(
        r"(?<!\w)[^\W\d_]{2,30}(?:strasse|str\.|gasse|allee|platz|straat|gatan|vägen) "
        rf"{_NUMBER}(?!\w|[.,]\d)"
    ),
)
_AN_AMOUNT = r"(?! ?\d{1,7}[.,]\d{2}(?!\d|[.,/-]))"
_PHONES = re.compile(
    rf"(?<!\w)(?:tel|telephone|telefon|téléphone|phone|ph|fax|telefax|hp|mobile|mob|whatsapp|hotline)"
    rf"[^\w+(\n]{{0,6}}(?:(?:no|number|nr)(?!\w)[^\w+(\n]{{0,4}})?"
    rf"[+(]{{0,2}}\d(?:{_AN_AMOUNT}[\d ()./-]){{5,24}}"
    r"|(?<![\w.,])\+\d{1,3}(?:[ -]|(?=\())\(?\d[\d ()-]{5,16}\d"
    r"|(?<![\w.,-])\(?0\d{1,4}\)?[ -] ?\d{3,4}[ -]?\d{3,5}(?!\d|[.,]\d)"
    r"|(?<![\w.,-])\(?\d{3}\)?[ .-] ?\d{3}[.-]\d{4}(?!\d)"
)
_TIMES = re.compile(r"(?<![\w:.,])(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?(?![\d:])")


def without_others(text: str, dates: Dates, work: Work) -> str:
    """The normalised text, of the same length, where only digits that may be amounts are left."""
    work.spend(len(text) // 2)
    spans = list(dates.spans)
    for pattern in (_PHONES, _TIMES, *_STREETS):
        for start in range(0, len(text), _SLICE):
            # What begins in a slice is found whole.
            for match in pattern.finditer(text, start, start + _SLICE + _LONGEST):
                if match.start() >= start + _SLICE:
                    break
                work.spend(4)
                spans.append(match.span())
                if pattern in _STREETS:
                    end = match.end()
                    code = _POSTCODE.search(text, end, end + _POSTCODE_WITHIN)
                    if code is not None:
                        spans.append(code.span())
    if not spans:
        return text
    parts: list[str] = []
    at = 0
    for start, end in sorted(spans):
        if end <= at:
            continue
        since = max(start, at)
        parts += (text[at:since], _DIGIT.sub(_NONE, text[since:end]))
        at = end
    return "".join((*parts, text[at:]))
