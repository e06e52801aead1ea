"""Signals of an answer that passed every check, to estimate how likely it is to be right.

A single signal says little; `tierline.routing.thresholds.combination` learns to combine them.
"""

import math
from collections.abc import Iterator
from datetime import datetime

from tierline.base.json_text import JSON, canonical_json
from tierline.checks.grounding import Ground
from tierline.checks.work import TooMuch

MOST_VALUES = 50  # values of an answer that are looked up in the input
LONGEST_INPUT = 100_000  # characters; longer inputs are not searched


def signals_of(
    input: JSON, output: JSON, created_at: datetime | None = None, *, repaired: bool
) -> dict[str, float]:
    """The lengths of input and answer (log of characters), whether the answer's JSON was repaired
    (0 or 1), and the share of its values that occur in the input, if it has any.
    """
    input_text, output_text = canonical_json(input), canonical_json(output)
    signals = {
        "input_length": math.log1p(len(input_text)),
        "output_length": math.log1p(len(output_text)),
        "repaired": float(repaired),
    }
    values = [value for _, value in zip(range(MOST_VALUES), _leaves(output), strict=False)]
    if values and len(input_text) <= LONGEST_INPUT:
        try:
            ground = Ground(input, created_at=created_at)
            signals["grounded"] = sum(ground.holds(value) for value in values) / len(values)
        except TooMuch:
            pass  # the score is trained to work without a missing signal
    return signals


def _leaves(value: JSON) -> Iterator[JSON]:
    """All texts and numbers, recursively."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, str | int | float) and not isinstance(item, bool):
            yield item
