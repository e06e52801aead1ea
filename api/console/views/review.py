"""What the page Review shows of an answer: its parts as text, with the grounded values marked."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tierline.base.json_text import JSON
from tierline.checks.evidence import GroundedValue, ValueSpan, places

MOST_PARTS = 40
MOST_SHOWN = 20_000  # characters of one part, and of all together


class Segment(NamedTuple):
    """Characters of a text. `field`: the output's field whose value they are evidence of."""

    text: str
    field: str | None


class Part(NamedTuple):
    """One field of an input or output; the whole of it has no name."""

    name: str
    segments: list[Segment]
    left_out: int  # characters


def parts_of(
    value: JSON, values: Sequence[GroundedValue] = (), created_at: datetime | None = None
) -> list[Part]:
    """The parts of an input, with the places of grounded values in it."""
    named = list(value.items()) if isinstance(value, dict) and value else [("", value)]
    if len(named) > MOST_PARTS:
        named = [("", value)]
    left = MOST_SHOWN
    parts = []
    for name, part in named:
        text = part if isinstance(part, str) else json.dumps(part, ensure_ascii=False, indent=2)
        shown = text[:left]
        left -= len(shown)
        segments = segments_of(shown, places(shown, values, created_at))
        parts.append(Part(name, segments, len(text) - len(shown)))
    return parts


def segments_of(text: str, marked: Sequence[ValueSpan]) -> list[Segment]:
    """The text cut at its places, which are in order."""
    segments = []
    at = 0
    for place in marked:
        if place.start > at:
            segments.append(Segment(text[at : place.start], None))
        segments.append(Segment(text[place.start : place.end], place.field))
        at = place.end
    if at < len(text) or not segments:
        segments.append(Segment(text[at:], None))
    return segments
