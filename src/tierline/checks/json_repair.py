"""Parses a model's text as JSON, with a small local repair.

It removes a code fence, and prose before or after a complete value, and reports that as a repair.
It never invents a value, for example by closing brackets that a cut-off answer left open.
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
_FENCE_WORD = re.compile(r"[A-Za-z0-9]*")  # the language name that a fence may have
# how only JSON begins; "[see" does not match
_START = re.compile(r'\{\s*["}]|\[\s*["{\[\]\-0-9tfn]')


@dataclass(frozen=True)
class Read:
    """A value, and whether text around it was cut away."""

    value: JSON
    repaired: bool


def read_answer(text: str) -> Read:
    """The one JSON value of an answer. Raises NotJson if there is none or more than one."""
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
            pass  # a second fence, or prose inside it: search for the value itself
    start = _START.search(text)
    if start is None:
        raise first
    value, end = parse_json_prefix(text, start.start())
    _refuse_second(text, end, value)
    return Read(value, repaired=True)


def _fenced(text: str) -> str | None:
    """The text inside the code fence around the whole text; None without a fence.

    Not a regular expression: one with white space on both sides of the content takes quadratic
    time, so an answer could keep a worker busy for minutes.
    """
    text = text.strip()
    size = len(_FENCE)
    if len(text) < 2 * size or not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return None
    word = _FENCE_WORD.match(text, size)
    assert word is not None, "the pattern also matches empty text"
    return text[word.end() : -size] if word.end() <= len(text) - size else None


def _refuse_second(text: str, end: int, value: JSON) -> None:
    """Two different values are two answers, and choosing one would be a guess."""
    while (start := _START.search(text, skip_space(text, end))) is not None:
        try:
            other, end = parse_json_prefix(text, start.start())
        except NotJson:
            return
        if other != value:
            raise NotJson("the answer contains more than one JSON value")
