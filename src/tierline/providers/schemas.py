"""Converts a JSON Schema to the dialect of a provider's structured output.

Unsupported keywords are left out if that only allows more, because the check runs in any case. If
the schema cannot be expressed at all, the result is None: then the prompt shows the form, and the
check decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Schema = Mapping[str, Any]


class _Unsayable(Exception):
    """The dialect cannot express this schema."""


@dataclass(frozen=True)
class _Dialect:
    kept: frozenset[str]  # keywords that are passed on unchanged
    closed: bool = False  # each object must be closed; an open one is limited to its properties
    all_required: bool = False  # every property must be required
    typed: bool = False  # each schema must have a type
    all_of: bool = True
    recursive: bool = True
    const: bool = True  # False: use an enum of one value
    most_min_items: int | None = None  # a larger minItems is left out
    formats: frozenset[str] | None = None  # None: any


_COMMON = frozenset({"type", "enum", "title", "description"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})

# OpenAI's guide to structured outputs, "Supported properties", as quoted in
# github.com/MervinPraison/PraisonAI/pull/1028 (read 2026-11-26).
_OPENAI = _Dialect(
    kept=_COMMON | _NUMBERS | {"pattern", "minItems", "maxItems"},
    closed=True,
    all_required=True,
    typed=True,
    all_of=False,
    formats=frozenset(
        {
            *("date-time", "time", "date", "duration", "email"),
            *("hostname", "ipv4", "ipv6", "uuid"),
        }
    ),
)
# "Unsupported type-specific keywords" of Azure's page on structured outputs, which as of 2026-06-05
# still lists every bound (read 2026-11-26): a request that uses one is refused.
_AZURE = replace(_OPENAI, kept=_COMMON, formats=frozenset())
# The keywords that the conversion in Anthropic's own client (2.14) keeps.
_ANTHROPIC = _Dialect(
    kept=_COMMON,
    closed=True,
    typed=True,
    recursive=False,
    most_min_items=1,
    formats=frozenset(
        {
            *("date-time", "time", "date", "duration", "email"),
            *("hostname", "uri", "ipv4", "ipv6", "uuid"),
        }
    ),
)
# The list at `response_json_schema` in Google's own client (google-genai 3.6). A schema may refer
# to itself only in optional properties. Other keywords are said to be ignored silently; the check
# covers them.
_GEMINI = _Dialect(
    kept=_COMMON | {"minimum", "maximum", "minItems", "maxItems"},
    all_of=False,
    recursive=False,
    const=False,
    formats=frozenset({"date-time", "date", "time"}),
)


Said = tuple[Schema, bool]
"""A schema, and whether it is sent as strict. If not strict, the model sees it but is not bound by
it.
"""


def for_openai(schema: Schema) -> Said | None:
    """The schema for OpenAI; None if the answer is not a JSON object."""
    return _strictly(schema, _OPENAI)


def for_azure(schema: Schema) -> Said | None:
    """The schema for Azure; None if the answer is not a JSON object."""
    return _strictly(schema, _AZURE)


def as_it_is(schema: Schema) -> Said:
    """For a server that accepts any schema."""
    return dict(schema), True


def _strictly(schema: Schema, dialect: _Dialect) -> Said | None:
    if schema.get("type") != "object":
        return None
    try:
        return _said(schema, dialect), True
    except _Unsayable:
        return dict(schema), False


def for_anthropic(schema: Schema) -> Schema | None:
    return _or_none(schema, _ANTHROPIC)


def for_gemini(schema: Schema) -> Schema | None:
    return _or_none(schema, _GEMINI)


def _or_none(schema: Schema, dialect: _Dialect) -> Schema | None:
    try:
        return _said(schema, dialect)
    except _Unsayable:
        return None


def _said(schema: Schema, dialect: _Dialect) -> Schema:
    if not dialect.recursive and _refers_to_itself(schema):
        raise _Unsayable
    return _one(schema, dialect)


def _one(schema: Any, dialect: _Dialect) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _Unsayable  # true and false
    said: dict[str, Any] = {}
    definitions = schema.get("$defs")
    if isinstance(definitions, Mapping):
        said["$defs"] = {name: _one(one, dialect) for name, one in definitions.items()}
    reference = schema.get("$ref")
    if reference is not None:
        if not str(reference).startswith("#"):
            raise _Unsayable
        return {"$ref": reference, **said}
    said |= {name: schema[name] for name in schema if name in dialect.kept}
    _literals(schema, dialect, said)
    _alternatives(schema, dialect, said)
    if "properties" in schema or said.get("type") == "object":
        _object(schema, dialect, said)
    if "items" in schema:
        said["items"] = _one(schema["items"], dialect)
    elif said.get("type") == "array" and dialect.typed:
        raise _Unsayable
    if schema.get("format") is not None and _has_format(schema, dialect):
        said["format"] = schema["format"]
    least = schema.get("minItems")
    if dialect.most_min_items is not None and least is not None and least <= dialect.most_min_items:
        said["minItems"] = least
    if dialect.typed and not said.keys() & {"type", "enum", "const", "anyOf", "allOf"}:
        raise _Unsayable
    return said


def _has_format(schema: Schema, dialect: _Dialect) -> bool:
    return dialect.formats is None or schema["format"] in dialect.formats


def _literals(schema: Schema, dialect: _Dialect, converted: dict[str, Any]) -> None:
    if "const" in schema:
        if dialect.const:
            converted["const"] = schema["const"]
        else:
            converted["enum"] = [schema["const"]]
    for value in (*converted.get("enum", ()), converted.get("const")):
        if isinstance(value, dict | list):
            raise _Unsayable


def _alternatives(schema: Schema, dialect: _Dialect, converted: dict[str, Any]) -> None:
    for name in ("anyOf", "oneOf"):  # the dialect means at least one, the schema exactly one
        if name in schema:
            converted["anyOf"] = [_one(each, dialect) for each in schema[name]]
    if "allOf" in schema:
        if not dialect.all_of:
            raise _Unsayable
        converted["allOf"] = [_one(each, dialect) for each in schema["allOf"]]


def _object(schema: Schema, dialect: _Dialect, converted: dict[str, Any]) -> None:
    properties = schema.get("properties") or {}
    required = list(schema.get("required", ()))
    more = schema.get("additionalProperties")
    converted["properties"] = {name: _one(each, dialect) for name, each in properties.items()}
    if not set(required) <= set(properties):
        raise _Unsayable
    if dialect.closed:
        if isinstance(more, Mapping) or not properties:
            raise _Unsayable  # closing it would change what it accepts
        converted["additionalProperties"] = False
    elif isinstance(more, Mapping):
        converted["additionalProperties"] = _one(more, dialect)
    elif more is not None:
        converted["additionalProperties"] = more
    if dialect.all_required and set(required) != set(properties):
        raise _Unsayable  # the model would have to invent optional values
    if required:
        converted["required"] = required


def _refers_to_itself(schema: Schema) -> bool:
    """Whether a definition refers to itself, directly or not, or to the root."""
    definitions = schema.get("$defs")
    known = definitions if isinstance(definitions, Mapping) else {}
    leads = {f"#/$defs/{name}": set(_references(one)) for name, one in known.items()}
    leads["#"] = set(_references(schema))

    def reaches(start: str) -> bool:
        seen: set[str] = set()
        left = list(leads.get(start, ()))
        while left:
            one = left.pop()
            if one == start:
                return True
            if one not in seen:
                seen.add(one)
                left.extend(leads.get(one, ()))
        return False

    return any(reaches(start) for start in leads)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [one for value in schema.values() for one in _references(value)]
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [one for value in schema for one in _references(value)]
    return []
