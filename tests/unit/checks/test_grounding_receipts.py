"""Grounding on receipts that are made here: right values pass, and values with one wrong digit do
not.
"""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tierline.checks.grounding import Ground

RECEIPTS = 200
CAUGHT = 0.99  # of values with one wrong digit
FALSE_ALARMS = 0.005  # of right values
CREATED = datetime(2026, 11, 30, tzinfo=UTC)

SHOPS = ("Corner Hardware Trading", "Blue Door Café", "Nine Lamps Sdn Bhd", "Müller & Söhne GmbH")
STREETS = ("No {a}, Jalan Sagu {b}, {code} Johor Bahru", "{a} Baker Street, Springfield {code}")
STREETS += ("Hauptstraße {a}, {code} Neustadt", "Lot {a}-A, Jalan SS {b}/{a}, {code} Petaling")
PHONES = ("Tel: 0{b}-{p} {q}", "TEL 01{a}-{p}{q}", "Phone: +60 {b} {p} {q}", "(0{b}) {p}-{q}")
GOODS = ("Lamp 40W", "Nails 2in", "Paint white", "USB cable", "Tea", "A4 paper 80g", "Battery AA")
DATES = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y-%m-%d", "%d %b %Y", "%d/%m/%y", "%d/%b/%Y")
DATES += ("%d%b%Y", "%d%m%Y", "%b %d, %Y", "%d %B %Y", "%Y/%m/%d", "%d-%b-%y", "%d/%m/%YTIME")
AMOUNTS = ("{:.2f}", "RM{:.2f}", "{:,.2f}", "EUR {:.2f}", "$ {:,.2f}")


@dataclass(frozen=True)
class Receipt:
    text: str
    day: date
    total: Decimal


def receipt(chance: random.Random) -> Receipt:
    day = date(2010, 1, 1) + timedelta(days=chance.randrange(6_000))
    form = chance.choice(AMOUNTS)
    lines, total = [], Decimal(0)
    for _ in range(chance.randint(1, 8)):
        count = chance.choice((1, 1, 1, 2, 3, 10))
        price = Decimal(chance.choice((chance.randint(50, 9_000), chance.randint(1, 90) * 100)))
        price /= 100
        lines.append(f"{count} x {chance.choice(GOODS)}  {price:.2f}  {form.format(count * price)}")
        total += count * price
    paid = (total // 50 + 1) * 50
    place = {
        "a": chance.randint(1, 99),
        "b": chance.randint(2, 9),
        "code": chance.randint(10_000, 99_999),
        "p": chance.randint(200, 999),
        "q": chance.randint(1_000, 9_999),
    }
    time_of_day = f"{chance.randint(8, 21)}:{chance.randint(0, 59):02d}"
    head = [
        chance.choice(SHOPS).upper(),
        chance.choice(STREETS).format(**place),
        chance.choice(PHONES).format(**place),
        f"GST No. {chance.randint(10**11, 10**12 - 1)}",
        f"Receipt No. {chance.choice(('CS-', 'INV', ''))}{chance.randint(10**4, 10**7)}",
        f"Date: {day.strftime(chance.choice(DATES))} {time_of_day}",
    ]
    foot = [
        f"Total incl. 6% GST {form.format(total)}",
        f"Cash {form.format(paid)}",
        f"Change {form.format(paid - total)}",
        "Goods sold are not returnable. Thank you!",
    ]
    return Receipt("\n".join((*head, *lines, *foot)), day, total)


def with_one_wrong_digit(text: str) -> list[str]:
    """Every text that differs in one digit."""
    return [
        text[:place] + digit + text[place + 1 :]
        for place, old in enumerate(text)
        if old.isdigit()
        for digit in "0123456789"
        if digit != old
    ]


@pytest.fixture(scope="module")
def receipts() -> list[tuple[Receipt, Ground]]:
    chance = random.Random(20)
    made = [receipt(chance) for _ in range(RECEIPTS)]
    return [(one, Ground({"text": one.text}, created_at=CREATED)) for one in made]


Receipts = list[tuple[Receipt, Ground]]


def test_right_dates_and_totals_are_found(receipts: Receipts) -> None:
    missed = [
        (value, one.text)
        for one, ground in receipts
        for value in (one.day.isoformat(), float(one.total), f"{one.total:.2f}")
        if not ground.holds(value)
    ]
    assert len(missed) <= FALSE_ALARMS * 3 * len(receipts), missed[:3]


def test_dates_with_one_wrong_digit_are_not_found(receipts: Receipts) -> None:
    wrong = [
        (value, one.text, ground)
        for one, ground in receipts
        for value in with_one_wrong_digit(one.day.isoformat())
    ]
    caught = sum(not ground.holds(value) for value, _, ground in wrong)
    assert caught >= CAUGHT * len(wrong), f"{caught} of {len(wrong)}"


@pytest.mark.parametrize("kind", [float, str])
def test_totals_with_one_wrong_digit_are_not_found(receipts: Receipts, kind: type) -> None:
    wrong = [
        (kind(value), ground)
        for one, ground in receipts
        for value in with_one_wrong_digit(f"{one.total:.2f}")
    ]
    caught = sum(not ground.holds(value) for value, ground in wrong)
    assert caught >= CAUGHT * len(wrong), f"{caught} of {len(wrong)}"
