"""Bounds the cost of a schema's patterns that use lookaround or backreferences.

The library gives all other patterns to an engine that reads a text once. These need backtracking,
which has a step limit but may read to the end of the text from every place: a text of 1 MB blocked
the interpreter for minutes. Here each text that such a pattern is tried on is counted, and a long
one is refused.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs

from tierline.base.json_text import JSON
from tierline.checks.schema_bounds import every_schema, goes_back
from tierline.checks.work import TooMuch, Work

OPTIONS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)  # about 10 ms at worst
MOST_CHARACTERS = 3_000  # of a text for such a pattern: about 30 ms
_EACH = 1_000  # steps of work for one try, plus those for the square of the text's length:
_PLACES_A_STEP = 130


class _Counting(threading.local):
    work: Work | None = None
    refused: TooMuch | None = None


_counting = _Counting()


@contextmanager
def counted(work: Work) -> Iterator[None]:
    """Inside the block, a check with `bounded_patterns` counts work in this thread.

    Raises TooMuch.
    """
    _counting.work, _counting.refused = work, None
    try:
        yield
    finally:
        refused, _counting.work, _counting.refused = _counting.refused, None, None
    if refused is not None:
        raise refused


def bounded_patterns(schema: JSON) -> dict[str, type] | None:
    """The library's override for the keyword `pattern`; None if no pattern in `schema`
    backtracks.
    """
    return {"pattern": _Bounded} if any(map(goes_back, _patterns(schema))) else None


def pattern_names(schema: JSON) -> bool:
    """Whether names are matched against backtracking patterns."""
    return any(map(goes_back, _names(schema)))


def refuse_long_names(value: JSON, work: Work) -> None:
    """Raises TooMuch if names in `value` are too long for such patterns."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            for name in item:
                _spend(name, work)
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)


class _Bounded:
    """The keyword `pattern`, in the form of a custom keyword of the library."""

    def __init__(self, _parent: dict[str, Any], value: Any, _path: list[str | int]) -> None:
        self._goes_back = goes_back(str(value))
        self._message = f"the value does not match {json.dumps(value, ensure_ascii=False)}"
        self._validator = jsonschema_rs.Draft202012Validator(
            {"pattern": value}, pattern_options=OPTIONS, offline=True
        )

    def validate(self, instance: Any) -> None:
        if not isinstance(instance, str):
            return
        if self._goes_back:
            if _counting.refused is not None:
                return  # the result no longer counts
            try:
                _spend(instance, _counting.work or Work())
            except TooMuch as refused:
                _counting.refused = refused
                return
        if not self._validator.is_valid(instance):
            raise ValueError(self._message)


def _spend(text: str, work: Work) -> None:
    if len(text) > MOST_CHARACTERS:
        raise TooMuch(
            "too much to check: a pattern uses lookaround or a backreference, and a text of "
            f"{len(text):,} characters is longer than {MOST_CHARACTERS:,}"
        )
    work.spend(_EACH + len(text) ** 2 // _PLACES_A_STEP)


def _patterns(schema: JSON) -> Iterator[str]:
    for node in every_schema(schema):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]


def _names(schema: JSON) -> Iterator[str]:
    for node in every_schema(schema):
        members = node.get("patternProperties")
        if isinstance(members, dict):
            yield from members
