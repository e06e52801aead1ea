"""A model's text as JSON: read as it is, or freed from what stands around it.

Repaired, and said so: a code fence, prose before or after a whole value. Never repaired: anything
that would make up a value, such as closing what a cut-off answer left open.
"""

import re
from dataclasses import dataclass

from tierline.base.json_text import (
    JSON,
    NotJson,
    parse_json,
    parse_json_prefix,
    refuse_too_many,
    skip_space,
)

_FENCE = "```"
_FENCE_WORD = re.compile(r"[A-Za-z0-9]*")  # the language that a fence may name
_START = re.compile(r'\{\s*["}]|\[\s*["{\[\]\-0-9tfn]')  # as only JSON begins; "[see" does not


@dataclass(frozen=True)
class Read:
    """A value, and whether anything had to be cut away to get at it."""

    value: JSON
    repaired: bool


def read_answer(text: str) -> Read:
    """The one JSON value of an answer. Raises NotJson when there is none, or not only one."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise NotJson("the answer is empty")
    refuse_too_many(text)
    try:
        return Read(parse_json(text), repaired=False)
    except NotJson as error:
        first = error
    fenced = _fenced(text)
    if fenced is not None:
        try:
            return Read(parse_json(fenced), repaired=True)
        except NotJson:
            pass  # a second fence, or prose inside it: look for the value itself
    start = _START.search(text)
    if start is None:
        raise first
    value, end = parse_json_prefix(text, start.start())
    _refuse_second(text, end, value)
    return Read(value, repaired=True)


def _fenced(text: str) -> str | None:
    """What stands inside the code fence around the whole text; None without one.

    By hand: a pattern that lets white space stand on both sides of what is inside takes time by the
    square of it, and whoever steers the answer could hold a worker for minutes.
    """
    text = text.strip()
    size = len(_FENCE)
    if len(text) < 2 * size or not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return None
    word = _FENCE_WORD.match(text, size)
    assert word is not None, "it matches nothing as well"
    return text[word.end() : -size] if word.end() <= len(text) - size else None


def _refuse_second(text: str, end: int, value: JSON) -> None:
    """Two different values are two answers; to pick one would be a guess."""
    while (start := _START.search(text, skip_space(text, end))) is not None:
        try:
            other, end = parse_json_prefix(text, start.start())
        except NotJson:
            return
        if other != value:
            raise NotJson("the answer holds more than one JSON value")
