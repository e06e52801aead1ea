"""A model's text as JSON: read as it is, or freed from what stands around it.

Repaired, and said so: a code fence, prose before or after a whole value. Never repaired: anything
that would make up a value, such as closing what a cut-off answer left open.
"""

import re
from dataclasses import dataclass

from tierline.json_text import JSON, NotJson, parse_json, parse_json_prefix, skip_space

_FENCED = re.compile(r"\s*```[A-Za-z0-9]*[ \t]*\r?\n?(.*?)\r?\n?[ \t]*```\s*", re.DOTALL)
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
    try:
        return Read(parse_json(text), repaired=False)
    except NotJson as error:
        first = error
    fenced = _FENCED.fullmatch(text)
    if fenced is not None:
        try:
            return Read(parse_json(fenced.group(1)), repaired=True)
        except NotJson:
            pass  # a second fence, or prose inside it: look for the value itself
    start = _START.search(text)
    if start is None:
        raise first
    value, end = parse_json_prefix(text, start.start())
    _refuse_second(text, end, value)
    return Read(value, repaired=True)


def _refuse_second(text: str, end: int, value: JSON) -> None:
    """Two different values are two answers; to pick one would be a guess."""
    while (start := _START.search(text, skip_space(text, end))) is not None:
        try:
            other, end = parse_json_prefix(text, start.start())
        except NotJson:
            return
        if other != value:
            raise NotJson("the answer holds more than one JSON value")
