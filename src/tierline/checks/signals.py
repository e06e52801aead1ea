"""Signals of an answer that passed every check: what may say how likely it is to be right.

Each by itself says little; `tierline.routing.combination` learns what they say together.
"""

import math
from collections.abc import Iterator

from tierline.base.json_text import JSON, canonical_json
from tierline.checks.grounding import Ground
from tierline.checks.work import TooMuch

MOST_VALUES = 50  # of an answer that are looked up in the input
LONGEST_INPUT = 100_000  # characters; in a longer input nothing is looked up


def signals_of(input: JSON, output: JSON, *, repaired: bool) -> dict[str, float]:
    """How long input and answer are (log of characters), whether the answer's JSON had to be
    repaired (0 or 1), and which share of its values stands in the input, where it has any.
    """
    asked, given = canonical_json(input), canonical_json(output)
    found = {
        "input_length": math.log1p(len(asked)),
        "output_length": math.log1p(len(given)),
        "repaired": float(repaired),
    }
    values = [value for _, value in zip(range(MOST_VALUES), _leaves(output), strict=False)]
    if values and len(asked) <= LONGEST_INPUT:
        try:
            ground = Ground(input)
            found["grounded"] = sum(ground.holds(value) for value in values) / len(values)
        except TooMuch:
            pass  # a signal that is missing is what the score is trained to do without
    return found


def _leaves(value: JSON) -> Iterator[JSON]:
    """Texts and numbers, in depth."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, str | int | float) and not isinstance(item, bool):
            yield item
