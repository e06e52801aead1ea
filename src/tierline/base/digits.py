"""Parses numbers in text from people and programs: ASCII digits only, without surrounding spaces.

Python's `int`, `float` and `Decimal` accept more than is meant: `1_000`, ` 12 `, the digits of
other scripts (`١٢`, `１２`), and `float` accepts `nan`. If two programs read a text differently, an
attacker can exploit that. So every such text is read here, or by a pattern with [0-9].
"""

import re
from decimal import Decimal

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
MOST = 1_000  # characters; Python itself refuses several thousand digits


def whole(text: str) -> int:
    """Raises ValueError unless it is a whole number in ASCII digits."""
    if len(text) > MOST or not WHOLE.fullmatch(text):
        raise ValueError("a whole number is written in the digits 0 to 9, such as 12")
    return int(text)


def number(text: str) -> float:
    """Raises ValueError unless it is a number in ASCII digits; 1e999 is infinite."""
    if len(text) > MOST or not NUMBER.fullmatch(text):
        raise ValueError("a number is written in the digits 0 to 9, such as 12 or 0.5")
    return float(text)


def decimal(text: str) -> Decimal:
    """As `number`, but exact."""
    number(text)
    return Decimal(text)
