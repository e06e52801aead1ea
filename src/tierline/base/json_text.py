"""JSON as text: strict parsing and canonical writing, the same for callers, models and files.

Strict means RFC 8259 and I-JSON (RFC 7493): no NaN or Infinity, no duplicate names in an object, no
lone surrogates, limited nesting; and no NUL character, which Postgres cannot store. Nothing is
repaired here: see `tierline.checks.json_repair`.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, Union

from tierline.base.errors import TierlineError

JSONValue: TypeAlias = Union[  # noqa: UP007  `|` takes no name that is not defined yet
    bool, int, float, str, Sequence["JSONValue"], Mapping[str, "JSONValue"], None
]
"""A JSON value that is passed on without looking into it."""

JSON: TypeAlias = Any
"""The result of json.loads, where code looks into it. A schema knows its shape, but the type
checker does not."""

_PLAIN_NAME = re.compile(r"[\w.-]{1,40}")
MAX_VALUES = 1_100_000  # the most that fit in 1 MB; parsing more would block the interpreter
_ONE_MB = 1024 * 1024
_NO_SPACE = re.compile(r"[^ \t\r\n]")
MAX_DEPTH = 64  # nested arrays and objects; real inputs and answers stay below 10


class NotJson(TierlineError):
    """The text is not one strict JSON value; the message gives the reason without quoting
    the text.
    """


plain_json: Callable[[JSON], str] = json.JSONEncoder(ensure_ascii=False).encode
"""The same text as `json.dumps(value, ensure_ascii=False)`, which makes an encoder at each call."""


def without_none(**values: JSON) -> dict[str, JSON]:
    """An object of these values, without those that are None."""
    return {name: value for name, value in values.items() if value is not None}


def parse_json(text: str, max_depth: int = MAX_DEPTH) -> JSON:
    """The one JSON value in `text`; surrounding white space is allowed. Raises NotJson."""
    refuse_too_many(text)
    value, end = parse_json_prefix(text, skip_space(text, 0), max_depth)
    if skip_space(text, end) != len(text):
        raise NotJson(f"there is more text after the JSON value, at character {end + 1}")
    return value


def parse_json_prefix(text: str, start: int, max_depth: int = MAX_DEPTH) -> tuple[JSON, int]:
    """The JSON value that begins exactly at `start`, and its end. Raises NotJson. For a long text,
    call `refuse_too_many` first.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise NotJson(f"not JSON: {error.msg.lower()} at {place}") from None
    except RecursionError:
        raise NotJson(f"nested deeper than {max_depth} levels") from None
    except ValueError:  # int() refuses thousands of digits
        raise NotJson("contains a number with too many digits") from None
    _refuse_unfit(value, max_depth)
    return value, end


def refuse_too_many(text: str) -> None:
    """Raises NotJson for a text over 1 MB that may contain more values than can be parsed at
    once.
    """
    # Marks inside strings count too: telling them apart would take as long as parsing.
    if len(text) > _ONE_MB and sum(map(text.count, ",:[[{{")) > MAX_VALUES:
        raise NotJson(f"contains more than {MAX_VALUES:,} values")


def canonical_json(value: JSON) -> str:
    """The same text for equal values: sorted names, no white space, 1.0 written as 1.

    For fingerprints and comparison, close to RFC 8785; not for display.
    """
    return json.dumps(
        _plain_numbers(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def digest_of(value: JSON) -> bytes:
    """SHA-256 of the canonical JSON: the same for equal values."""
    return hashlib.sha256(canonical_json(value).encode()).digest()


def size_of(value: JSON) -> tuple[int, int]:
    """The number of values in a value, itself included, and the depth of nesting."""
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
    """`text` without what Postgres or UTF-8 cannot store: NUL and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def skip_space(text: str, start: int) -> int:
    """The first index from `start` on that is not JSON white space."""
    match = _NO_SPACE.search(text, start)
    return len(text) if match is None else match.start()


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
        raise NotJson("contains a number beyond the range of a double")
    return number


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotJson(f"the name {quoted_name(name)} occurs twice in one object")
            seen.add(name)
    return members


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
)


def short(text: str, limit: int = 60) -> str:
    """`text` quoted and cut to `limit` characters, for messages."""
    return json.dumps(text if len(text) <= limit else text[: limit - 1] + "…", ensure_ascii=False)


def quoted_name(name: str) -> str:
    """A member name from outside, quoted for a message. Names of several words are not shown,
    because messages are shown to models and such a name can be an instruction."""
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
        raise NotJson("contains a NUL character, which cannot be stored")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson("contains half of a surrogate pair, which is not a character") from None
