"""Converts a JSON Schema to the dialect of a provider's structured output.

Unsupported keywords are left out if that only allows more, because the check runs in any case. If
the schema cannot be expressed at all, the result is None: then the prompt shows the form, and the
check decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Schema = Mapping[str, Any]


class _Inexpressible(Exception):
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


SentSchema = tuple[Schema, bool]
"""A schema, and whether it is sent as strict. If not strict, the model sees it but is not bound by
it.
"""


def for_openai(schema: Schema) -> SentSchema | None:
    """The schema for OpenAI; None if the answer is not a JSON object."""
    return _strictly(schema, _OPENAI)


def for_azure(schema: Schema) -> SentSchema | None:
    """The schema for Azure; None if the answer is not a JSON object."""
    return _strictly(schema, _AZURE)


def as_it_is(schema: Schema) -> SentSchema:
    """For a server that accepts any schema."""
    return dict(schema), True


def _strictly(schema: Schema, dialect: _Dialect) -> SentSchema | None:
    if schema.get("type") != "object":
        return None
    try:
        return _converted(schema, dialect), True
    except _Inexpressible:
        return dict(schema), False


def for_anthropic(schema: Schema) -> Schema | None:
    return _or_none(schema, _ANTHROPIC)


def for_gemini(schema: Schema) -> Schema | None:
    return _or_none(schema, _GEMINI)


def _or_none(schema: Schema, dialect: _Dialect) -> Schema | None:
    try:
        return _converted(schema, dialect)
    except _Inexpressible:
        return None


def _converted(schema: Schema, dialect: _Dialect) -> Schema:
    if not dialect.recursive and _refers_to_itself(schema):
        raise _Inexpressible
    return _convert(schema, dialect)


def _convert(schema: Any, dialect: _Dialect) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _Inexpressible  # true and false
    converted: dict[str, Any] = {}
    definitions = schema.get("$defs")
    if isinstance(definitions, Mapping):
        converted["$defs"] = {name: _convert(one, dialect) for name, one in definitions.items()}
    reference = schema.get("$ref")
    if reference is not None:
        if not str(reference).startswith("#"):
            raise _Inexpressible
        return {"$ref": reference, **converted}
    converted |= {name: schema[name] for name in schema if name in dialect.kept}
    _literals(schema, dialect, converted)
    _alternatives(schema, dialect, converted)
    if "properties" in schema or converted.get("type") == "object":
        _object(schema, dialect, converted)
    if "items" in schema:
        converted["items"] = _convert(schema["items"], dialect)
    elif converted.get("type") == "array" and dialect.typed:
        raise _Inexpressible
    if schema.get("format") is not None and _has_format(schema, dialect):
        converted["format"] = schema["format"]
    least = schema.get("minItems")
    if dialect.most_min_items is not None and least is not None and least <= dialect.most_min_items:
        converted["minItems"] = least
    if dialect.typed and not converted.keys() & {"type", "enum", "const", "anyOf", "allOf"}:
        raise _Inexpressible
    return converted


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
            raise _Inexpressible


def _alternatives(schema: Schema, dialect: _Dialect, converted: dict[str, Any]) -> None:
    for name in ("anyOf", "oneOf"):  # the dialect means at least one, the schema exactly one
        if name in schema:
            converted["anyOf"] = [_convert(each, dialect) for each in schema[name]]
    if "allOf" in schema:
        if not dialect.all_of:
            raise _Inexpressible
        converted["allOf"] = [_convert(each, dialect) for each in schema["allOf"]]


def _object(schema: Schema, dialect: _Dialect, converted: dict[str, Any]) -> None:
    properties = schema.get("properties") or {}
    required = list(schema.get("required", ()))
    more = schema.get("additionalProperties")
    converted["properties"] = {name: _convert(each, dialect) for name, each in properties.items()}
    if not set(required) <= set(properties):
        raise _Inexpressible
    if dialect.closed:
        if isinstance(more, Mapping) or not properties:
            raise _Inexpressible  # closing it would change what it accepts
        converted["additionalProperties"] = False
    elif isinstance(more, Mapping):
        converted["additionalProperties"] = _convert(more, dialect)
    elif more is not None:
        converted["additionalProperties"] = more
    if dialect.all_required and set(required) != set(properties):
        raise _Inexpressible  # the model would have to invent optional values
    if required:
        converted["required"] = required


def _refers_to_itself(schema: Schema) -> bool:
    """Whether a definition refers to itself, directly or not, or to the root."""
    definitions = schema.get("$defs")
    if not isinstance(definitions, Mapping):
        definitions = {}
    targets = {f"#/$defs/{name}": set(_references(one)) for name, one in definitions.items()}
    targets["#"] = set(_references(schema))

    def reaches(start: str) -> bool:
        seen: set[str] = set()
        left = list(targets.get(start, ()))
        while left:
            one = left.pop()
            if one == start:
                return True
            if one not in seen:
                seen.add(one)
                left.extend(targets.get(one, ()))
        return False

    return any(reaches(start) for start in targets)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [one for value in schema.values() for one in _references(value)]
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [one for value in schema for one in _references(value)]
    return []
