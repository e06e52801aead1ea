"""Finds the dates in a text, each as one token with its parts in place: 2026-03-01, 1 March 2026,
3/1/26, 02/JAN/2017, 25032018.

A run of digits is never split: "30 MAR 2018" is the 30th, not the 20th of 2018. Month names in
English, German, French, Spanish, Italian, Portuguese, Dutch and the Scandinavian languages, in full
or abbreviated. A numeric day and month are read in either order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from tierline.checks.work import Work

# Casefolded. Abbreviations may end with a full stop.
_MONTHS = (
    "january januar janvier enero gennaio janeiro januari jan ene gen janv",
    "february februar février febrero febbraio fevereiro februari feb fév fev févr",
    "march märz mars marzo março maart mar mär mrt maerz",
    "april avril abril aprile apr avr abr",
    "may mai mayo maggio maio mei maj mag",
    "june juni juin junio giugno junho jun giu",
    "july juli juillet julio luglio julho jul juil lug",
    "august août agosto augusti augustus aug ago aoû",
    "september septembre septiembre settembre setembro sept sep set",
    "october oktober octobre octubre ottobre outubro oct okt ott out",
    "november novembre noviembre novembro nov",
    "december dezember décembre diciembre dicembre dezembro desember dec dez déc dic des",
)
_MONTH_OF = {
    name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()
}
YEARS_BEFORE, YEARS_AFTER = 80, 20
"""The years around a job's creation in which a year of two digits may lie."""

_SLICE = 64 * 1024  # characters per search, during which no other thread can run
_LONGEST = 64  # characters of a token, and of its parts on one side of a month's name
_STEPS = 20  # steps of work to read one token
_RANGE = re.compile(r"\s{0,3}(?:-|–|—|to|bis|until|and|und|et|à|al?|t/m)\s{0,3}")
_GAP = r"(?:\s|[,./-]|(?:de|del|of|den)(?!\w)){0,8}"
_ORDINAL = r"(?:st|nd|rd|th|er|º)?"

_NAME = re.compile(
    rf"(?<![^\W\d_])(?:{'|'.join(sorted(map(re.escape, _MONTH_OF), key=len, reverse=True))})"
    r"(?![^\W\d_])"
)
# What stands before a month's name: a day, or a year. A digit run is taken whole or not at all.
_BEFORE = re.compile(rf"(?<![\d:])(?:(?P<day>\d{{1,2}}){_ORDINAL}|(?P<year>\d{{4}})){_GAP}$")
# What stands after it: a year, or a day that a year may follow. "10:45" and "12.50" are no years.
_YEAR = r"'?(?:(?P<{0}4>\d{{4}})(?!\d|[.,]\d\d(?![\d:]))|(?P<{0}2>\d{{2}})(?!\d|[:.,]\d))"
_YEAR_AFTER = re.compile(rf"{_GAP}{_YEAR.format('y')}")
_DAY_AFTER = re.compile(
    rf"{_GAP}(?P<day>\d{{1,2}})(?!\d|:\d|\.\d\d(?!\d)){_ORDINAL}(?:{_GAP}{_YEAR.format('y')})?"
)
_NUMERIC = re.compile(
    r"(?<!\d)(?P<a>\d{1,4}) ?(?P<by>[-/.年]) ?(?P<b>\d{1,2})"
    r" ?(?P<again>[-/.月]) ?'?(?P<c>\d{1,4})(?!\d)"
)
_COMPACT = re.compile(r"(?<!\d)\d{8}(?!\d)")
# A day and a month without a year: 3/1, and 3.1. with its last full stop; 3.1 may be a price.
_SHORT = re.compile(r"(?<![\d./-])(\d{1,2})(?:/(\d{1,2})(?![\d/.-])|\.(\d{1,2})\.(?!\d))")

Day = tuple[int, int, int]  # year, month, day


@dataclass
class Dates:
    """The dates of one text, in every reading that they may have."""

    days: set[Day] = field(default_factory=set)
    two_digit: set[Day] = field(default_factory=set)  # the year is 0 to 99
    named: set[tuple[int, int]] = field(default_factory=set)  # month and day, without a year
    numeric: set[tuple[int, int]] = field(default_factory=set)  # the same, as in 3/1
    years: set[int] = field(default_factory=set)  # of whole dates
    spans: list[tuple[int, int]] = field(default_factory=list)  # where the whole dates stand

    def holds(self, day: Day, created_year: int | None) -> bool:
        """Whether that day stands in the text with its year.

        A year of two digits lies at most YEARS_BEFORE years before `created_year` and YEARS_AFTER
        years after it. None: in any century.
        """
        if day in self.days:
            return True
        year, month, day_of_month = day
        if created_year is not None and not (
            created_year - YEARS_BEFORE <= year <= created_year + YEARS_AFTER
        ):
            return False
        return (year % 100, month, day_of_month) in self.two_digit


def dates_in(text: str, work: Work | None = None) -> Dates:
    """Every date in normalised (NFKC, casefolded) text.

    Raises TooMuch if there are more than the rest of `work` allows.
    """
    work = work or Work()
    work.spend(len(text) // 2)
    dates = Dates()
    spans: list[tuple[int, int]] = []
    for match in _matches(_NAME, text):
        work.spend(_STEPS)
        span = _read_named(text, match, dates)
        if span is not None:
            spans.append(span)
    dates.spans.extend(spans)
    for match in _matches(_NUMERIC, text):
        work.spend(_STEPS)
        _read_numeric(text, match, dates)
    for match in _matches(_COMPACT, text):
        work.spend(_STEPS)
        _read_compact(match, dates)
    for match in _matches(_SHORT, text):
        work.spend(_STEPS)
        _read_short(text, match, dates)
    return dates


def is_day(year: int, month: int, day: int) -> bool:
    """Whether the calendar has that day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches in slices, since one search of a long text would block the interpreter."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _SLICE)
        last = end
        for match in pattern.finditer(text, start, min(len(text), end + _LONGEST)):
            if match.start() >= end:
                break
            # A match at the very end of what was searched may be cut; it is searched again.
            cut = match.end() == end + _LONGEST < len(text)
            whole = pattern.match(text, match.start()) if cut else match
            if whole is not None:
                last = max(last, whole.end())
                yield whole
        start = last


def _read_named(text: str, match: re.Match[str], dates: Dates) -> tuple[int, int] | None:
    """Reads the date around a month's name. Returns the span of a whole date."""
    month = _MONTH_OF[match.group()]
    start, end = match.span()
    before = _BEFORE.search(text, max(0, start - _LONGEST), start)
    end += text[end : end + 1] == "."
    year_after = _YEAR_AFTER.match(text, end, end + _LONGEST)
    day_after = _DAY_AFTER.match(text, end, end + _LONGEST)
    whole: list[tuple[int, int]] = []
    before_day = before and before.group("day")
    before_year = before and before.group("year")
    if before and before_day and year_after and _keep(dates, year_after, month, int(before_day)):
        whole.append((before.start(), year_after.end()))
    if day_after:
        day = int(day_after.group("day"))
        if (day_after.group("y4") or day_after.group("y2")) and _keep(dates, day_after, month, day):
            whole.append((start, day_after.end()))
        if before and before_year and is_day(int(before_year), month, day):
            dates.days.add((int(before_year), month, day))
            dates.years.add(int(before_year))
            whole.append((before.start(), day_after.end("day")))
    if whole:
        return min(at for at, _ in whole), max(at for _, at in whole)
    for day_text in (before_day, day_after and day_after.group("day")):
        if day_text and is_day(2000, month, int(day_text)):
            dates.named.add((month, int(day_text)))
    return None


def _keep(dates: Dates, year: re.Match[str], month: int, day: int) -> bool:
    """Adds the day of the year that was matched. Returns whether there is such a day."""
    whole, two_digits = year.group("y4"), year.group("y2")
    if whole:
        if not is_day(int(whole), month, day):
            return False
        dates.days.add((int(whole), month, day))
        dates.years.add(int(whole))
        return True
    if not is_day(2000, month, day):  # a leap year: the century is not known yet
        return False
    dates.two_digit.add((int(two_digits), month, day))
    return True


def _read_numeric(text: str, match: re.Match[str], dates: Dates) -> None:
    by, again = match.group("by"), match.group("again")
    first, second, third = match.group("a"), match.group("b"), match.group("c")
    if (by == "年") != (again == "月") or by not in ("年", again):
        return
    readings: set[Day] = set()
    if len(first) == 4 and len(third) <= 2:
        readings = {(int(first), int(second), int(third))}
    elif len(third) == 4 and len(first) <= 2 and by != "年":
        readings = _either_way(int(third), int(first), int(second))
    readings = {day for day in readings if is_day(*day)}
    if readings:
        dates.days |= readings
        dates.years |= {year for year, _, _ in readings}
        dates.spans.append(match.span())
        return
    if len(third) != 2 or len(first) > 2 or by == "年" or _goes_on(text, match, by):
        return
    short = {
        (int(third), month, day)
        for _, month, day in _either_way(2000, int(first), int(second))
        if is_day(2000, month, day)
    }
    if short:
        dates.two_digit |= short
        dates.spans.append(match.span())


def _either_way(year: int, one: int, other: int) -> set[Day]:
    return {(year, one, other), (year, other, one)}


def _goes_on(text: str, match: re.Match[str], by: str) -> bool:
    """Whether more digits are joined to it, as in 10.12.20.18 or 03-12-19-44."""
    before = text[max(0, match.start() - 2) : match.start()]
    after = text[match.end() : match.end() + 2]
    return (len(before) == 2 and before[1] == by and before[0].isdigit()) or (
        len(after) == 2 and after[0] == by and after[1].isdigit()
    )


def _read_compact(match: re.Match[str], dates: Dates) -> None:
    """20180325, 25032018 and 03252018. Not in the spans: it may be an amount as well."""
    digits = match.group()
    whole = {(int(digits[:4]), int(digits[4:6]), int(digits[6:]))}
    whole |= _either_way(int(digits[4:]), int(digits[:2]), int(digits[2:4]))
    dates.days |= {day for day in whole if is_day(*day)}


def _read_short(text: str, match: re.Match[str], dates: Dates) -> None:
    one, other = int(match.group(1)), int(match.group(2) or match.group(3))
    readings = [(month, day) for _, month, day in _either_way(2000, one, other)]
    readings = [(month, day) for month, day in readings if is_day(2000, month, day)]
    dates.numeric.update(readings)
    # "1.3. - 5.3.2026": the year of the date after it is its own.
    joined = _RANGE.match(text, match.end())
    if joined is None:
        return
    after = _NUMERIC.match(text, joined.end())
    if after is not None and len(after.group("c")) == 4:
        year = int(after.group("c"))
        dates.days.update((year, *reading) for reading in readings if is_day(year, *reading))
