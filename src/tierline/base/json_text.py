"""JSON as text: strict reading and canonical writing, the same for callers, models and files.

Strict means RFC 8259 and I-JSON's manners (RFC 7493): no NaN or Infinity, no name twice in an
object, no lone surrogates, nesting bounded; and no NUL character, which Postgres cannot store. It
does not repair: see `tierline.checks.json_repair`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, Union

from tierline.base.errors import TierlineError

JSONValue: TypeAlias = Union[  # noqa: UP007  `|` takes no name that is not defined yet
    bool, int, float, str, Sequence["JSONValue"], Mapping[str, "JSONValue"], None
]
"""A JSON value that is passed on, and not looked into."""

JSON: TypeAlias = Any
"""What json.loads gives, where it is looked into: its shape is known to a schema and not to the
type checker."""

_PLAIN_NAME = re.compile(r"[\w.-]{1,40}")
MAX_VALUES = 1_100_000  # as many as stand in 1 MB at most; beyond, reading holds the interpreter
_ONE_MB = 1024 * 1024
_NO_SPACE = re.compile(r"[^ \t\r\n]")
MAX_DEPTH = 64  # arrays and objects inside each other; real inputs and answers stay below 10


class NotJson(TierlineError):
    """The text is not one strict JSON value; the message says why without quoting the text."""


def parse_json(text: str, max_depth: int = MAX_DEPTH) -> JSON:
    """The one JSON value that `text` holds, white space around it aside. Raises NotJson."""
    refuse_too_many(text)
    value, end = parse_json_prefix(text, skip_space(text, 0), max_depth)
    if skip_space(text, end) != len(text):
        raise NotJson(f"there is more text after the JSON value, at character {end + 1}")
    return value


def parse_json_prefix(text: str, start: int, max_depth: int = MAX_DEPTH) -> tuple[JSON, int]:
    """The JSON value that begins exactly at `start`, and where it ends. Raises NotJson. Of a long
    text `refuse_too_many` is asked before.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise NotJson(f"not JSON: {error.msg.lower()} at {place}") from None
    except RecursionError:
        raise NotJson(f"nested deeper than {max_depth} levels") from None
    except ValueError:  # int() refuses thousands of digits
        raise NotJson("holds a number with too many digits") from None
    _refuse_unfit(value, max_depth)
    return value, end


def refuse_too_many(text: str) -> None:
    """Raises NotJson for a text over 1 MB that may hold more values than are read in one go."""
    # Marks inside of texts count as well: to tell them apart would take as long as reading.
    if len(text) > _ONE_MB and sum(map(text.count, ",:[[{{")) > MAX_VALUES:
        raise NotJson(f"holds more than {MAX_VALUES:,} values")


def canonical_json(value: JSON) -> str:
    """One text for equal values: sorted names, no white space, 1.0 written as 1.

    For fingerprints and comparison, close to RFC 8785; not for showing.
    """
    return json.dumps(
        _plain_numbers(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def size_of(value: JSON) -> tuple[int, int]:
    """How many values there are in one, itself included, and how deep they stand in each other."""
    values, depth, level = 0, 0, [value]
    while level:
        values += len(level)
        below: list[JSON] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        depth += bool(below)
        level = below
    return values, depth


def storable(text: str) -> str:
    """`text` without what Postgres's text or UTF-8 cannot hold: NUL, half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def skip_space(text: str, start: int) -> int:
    """The first index from `start` on that is not JSON white space."""
    found = _NO_SPACE.search(text, start)
    return len(text) if found is None else found.start()


def _plain_numbers(value: JSON) -> JSON:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _plain_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_numbers(item) for item in value]
    return value


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise NotJson("holds a number beyond the range of a double")
    return number


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotJson(f"the name {name_told(name)} stands twice in one object")
            seen.add(name)
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
)


def short(text: str, limit: int = 60) -> str:
    """`text` quoted and cut to `limit` characters, for messages."""
    return json.dumps(text if len(text) <= limit else text[: limit - 1] + "…", ensure_ascii=False)


def name_told(name: str) -> str:
    """A member's name that came from outside, quoted for a message; its words left out unless it is
    one plain word: messages are told to models, and a name can be a sentence."""
    return short(name) if _PLAIN_NAME.fullmatch(name) else '"…"'


def _refuse_unfit(value: JSON, max_depth: int) -> None:
    level = [value]
    depth = 0
    while level:
        below: list[JSON] = []
        for item in level:
            if isinstance(item, str):
                _refuse_characters(item)
            elif isinstance(item, dict):
                for name in item:
                    _refuse_characters(name)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if below:
            depth += 1
            if depth > max_depth:
                raise NotJson(f"nested deeper than {max_depth} levels")
        level = below


def _refuse_characters(text: str) -> None:
    if "\x00" in text:
        raise NotJson("holds a NUL character, which cannot be stored")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson("holds half of a surrogate pair, which is not a character") from None
