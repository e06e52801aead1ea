"""The demo's own check of an invoice's fields: where do they stand in the text?

`grounded` says that a value stands somewhere; this says that it stands where an invoice has it. The
words and layouts come from examples/dev and from dictionaries, never from the scored inputs. When
it is not sure it refuses, and a person looks at the invoice.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_NAMES = (
    r"(?:[il1|]nv[o0][il1|]ce|[il1|]nv|rechnung|rechn|rg|re|faktura|fakt|factuur|facture|fact|"
    r"fattura|fatt|bill|receipt)(?:s?nummer|nr|no)?"
)
_NUMBER_WORDS = r"(?:numbers?|number|num|nummer|numero|numéro|nr|no|n[°ºo]?|id|#)"
_BEFORE = re.compile(
    rf"(?:(?<![^\W_]){_NAMES}|^[\W_]*{_NUMBER_WORDS})(?:[\W_]*(?<![^\W_]){_NUMBER_WORDS}|[\W_])*$",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<![\w/-])[A-Za-z]{0,6}[-/ ]?\d[\w/-]*(?<![/-])(?![.,'’]\d)")
_TOTAL = re.compile(
    r"t[o0]ta[l1]e?\b|totaa[l1]\b|\b(?:amount|balance|sum|total) (?:due|payable|to pay)\b|to pay\b|"
    r"betala\b|voldoen\b|betalen\b|summ[ae]\b|gesamt|(?:end|rechnungs|gesamt)betrag|[àa] payer\b|"
    r"zusammen\b|[àa] r[ée]gler\b|dovuto\b|payable\b",
    re.IGNORECASE,
)
_PART = re.compile(r"sub-?\s?tot|sous-tot|zwischen|subtotaal|excl|netto|imponibile", re.IGNORECASE)
_AMOUNT = re.compile(
    r"(?<![\w.,'’/-])\d{1,3}(?:[.,'’ \u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?![\w/])"
    r"|(?<![\w.,'’/-])\d+(?:[.,]\d{1,2})?(?![\w/])"
)
_CURRENCIES = {
    "EUR": re.compile(r"\bEUR\b|€|\beuros?\b", re.IGNORECASE),
    "USD": re.compile(r"\bUSD\b|(?<![A-Z])\$"),
    "GBP": re.compile(r"\bGBP\b|£"),
    "SEK": re.compile(r"\bSEK\b|\d\s?kr\b"),
    "CHF": re.compile(r"\bCHF\b|\bFr\.(?=\s?\d)"),
    "JPY": re.compile(r"\bJPY\b|¥"),
}
CENT = Decimal("0.015")


def problem(text: str, output: Mapping[str, Any]) -> str | None:
    """Why the fields should not be served; None if each stands where it should."""
    number, total, currency = (output.get(key) for key in ("invoice_number", "total", "currency"))
    if not isinstance(number, str) or not isinstance(total, int | float):
        return "a field is missing"
    labelled = _labelled(text)
    if number.casefold() not in labelled:
        return "no word such as 'invoice no.' stands before the invoice number"
    if len(labelled) > 1:
        return "the text names more than one invoice number"
    amount = Decimal(str(total))
    totals = set(_totals(text))
    if amount not in totals:
        return "the total does not stand in a line that says total or amount due"
    if len(totals) > 1 and not _adds_up(text, amount):
        return "the text states more than one total, and the lines do not add up to this one"
    return _currency_problem(text, str(currency), amount)


def _labelled(text: str) -> set[str]:
    """The codes that stand right behind a word for an invoice's number."""
    codes = set()
    for line in text.splitlines():
        for code in _CODE.finditer(line):
            if _BEFORE.search(line[: code.start()]):
                codes.add(code.group().strip().casefold())
    return codes


def _totals(text: str) -> Iterator[Decimal]:
    """The last amount of each line, behind a word for the total."""
    for line in text.splitlines():
        for word in _TOTAL.finditer(line):
            if _PART.search(line[: word.end()]):
                continue
            amounts = list(_amounts(line[word.end() :]))
            if amounts:
                yield amounts[-1]
                break


def _amounts(text: str) -> Iterator[Decimal]:
    for match in _AMOUNT.finditer(text):
        digits = re.sub(r"['’ \u00a0\u202f]", "", match.group())
        whole, mark, rest = digits, "", ""
        split = re.fullmatch(r"(.*)([.,])(\d{1,2})", digits)
        if split:
            whole, mark, rest = split.groups()
        try:
            yield Decimal(re.sub(r"[.,]", "", whole) + (f".{rest}" if mark else ""))
        except InvalidOperation:
            continue


def _adds_up(text: str, total: Decimal) -> bool:
    """Whether amounts of lines that follow each other add up to the total; it may be one line,
    but none that states a total itself.
    """
    if any(total in set(_amounts(line)) for line in text.splitlines() if not _TOTAL.search(line)):
        return True
    lasts = [amounts[-1] for line in text.splitlines() if (amounts := list(_amounts(line)))]
    for start in range(len(lasts)):
        summed = Decimal(0)
        for place in range(start, len(lasts)):
            summed += lasts[place]
            if place > start and abs(summed - total) <= CENT:
                return True
    return False


def _currency_problem(text: str, currency: str, total: Decimal) -> str | None:
    stands = {code for code, sign in _CURRENCIES.items() if sign.search(text)}
    if currency not in stands:
        return "the currency's code or sign does not stand in the text"
    if stands == {currency}:
        return None
    for line in text.splitlines():
        signs = {code for code, sign in _CURRENCIES.items() if sign.search(line)}
        if _TOTAL.search(line) and signs == {currency} and total in set(_amounts(line)):
            return None
    return "the text has several currencies"
