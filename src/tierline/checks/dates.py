"""Dates as people write them, as a pattern for one day: 2026-03-01, 1 March 2026, 3/1/26 …

Month names in English, German, French, Spanish, Italian, Portuguese, Dutch and the Scandinavian
languages, in full or abbreviated. Numeric day and month are accepted in either order.
"""

import re
from functools import lru_cache

# Casefolded. Abbreviations before a full stop or a space are taken from the first letters.
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
_ORDINAL = r"(?:st|nd|rd|th|er|º|\.)?"


LONGEST = 256  # the most characters that the patterns match for one day
_BLANKS = 20  # spaces, commas or little words between two parts of a date
# Limited, so that a text full of them is not scanned again from each one.


@lru_cache(maxsize=4096)
def date_pattern(year: int | None, month: int, day: int) -> re.Pattern[str]:
    """A pattern that finds that day in normalised (NFKC, casefolded) text; year None: without a
    year.
    """
    names = _MONTHS[month - 1].split()
    name = rf"(?:{'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})\b\.?"
    d, m = f"0?{day}", f"0?{month}"
    blank = rf"\s{{0,{_BLANKS}}}"
    if year is None:
        return re.compile(
            rf"(?<!\d){d}{_ORDINAL}{blank}(?:of |de |den )?{name}|{name}{blank}{d}{_ORDINAL}(?!\d)"
            rf"|(?<![\d./-]){d}[./-]{m}[./]?(?![\d])|(?<![\d./-]){m}[./-]{d}(?!\d)"
        )
    y = rf"(?:{year}|'?{year % 100:02d})"
    between = rf"(?:\s|,|\.|-|de |del |of ){{0,{_BLANKS}}}"
    return re.compile(
        rf"(?<!\d){year}\s?[-/.年]\s?{m}\s?[-/.月]\s?{d}(?!\d)"
        rf"|(?<!\d){year}{month:02d}{day:02d}(?!\d)"
        rf"|(?<!\d)(?:{d}\s?([-/.])\s?{m}\s?\1|{m}([-/.]){d}\2)\s?{y}(?!\d)"
        rf"|(?<!\d){d}{_ORDINAL}{between}{name}{between}{y}(?!\d)"
        rf"|\b{name}{between}{d}{_ORDINAL}{between}{y}(?!\d)"
    )
