"""Numbers in text that people and programs send: ASCII digits, and nothing around or between them.

Python's `int`, `float` and `Decimal` read more than anybody means: `1_000`, ` 12 `, the digits of
other scripts (`١٢`, `１２`), and `float` reads `nan`. Two programs that read one text differently
can be played against each other, so every such text is read here, or by a pattern with [0-9] in it.
"""

import re
from decimal import Decimal

WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
MOST = 1_000  # characters; Python itself refuses to read some thousand digits


def whole(text: str) -> int:
    """Raises ValueError for what is no whole number in ASCII digits."""
    if len(text) > MOST or not WHOLE.fullmatch(text):
        raise ValueError("a whole number is written in the digits 0 to 9, such as 12")
    return int(text)


def number(text: str) -> float:
    """Raises ValueError for what is no number in ASCII digits; 1e999 is infinite."""
    if len(text) > MOST or not NUMBER.fullmatch(text):
        raise ValueError("a number is written in the digits 0 to 9, such as 12 or 0.5")
    return float(text)


def decimal(text: str) -> Decimal:
    """The same, exactly."""
    number(text)
    return Decimal(text)
