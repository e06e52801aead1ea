"""What people write into schemas that JSON Schema does not have: OpenAPI's `nullable`, formats that
no draft knows, and misspelt keywords.

None of it is an error by the standard, which tells readers to ignore what they do not know. So it
is said as a warning, with what was probably meant.
"""

from collections.abc import Iterator
from functools import lru_cache

import jsonschema_rs

from tierline.base.json_text import JSON, short
from tierline.checks.dialects import Dialect, Path, dialect_of, subschemas
from tierline.checks.schema import Fault
from tierline.features.parsing.reading import MOST_HINTS, close_to

_OPENAPI_FORMATS = {
    "int32": 'use "type: integer", with minimum and maximum',
    "int64": 'use "type: integer"',
    "float": 'use "type: number"',
    "double": 'use "type: number"',
    "decimal": 'use "type: number", or a pattern',
    "url": "uri is the standard's name",
    "datetime": "date-time is the standard's name",
    "timestamp": "date-time is the standard's name",
    "ip": "ipv4 and ipv6 are the standard's names",
    "guid": "uuid is the standard's name",
    "phone": "use a pattern",
}
KEYWORDS = frozenset(
    {
        *("type", "enum", "const", "title", "description", "default", "examples", "deprecated"),
        *("readOnly", "writeOnly", "id", "format", "pattern", "minLength", "maxLength"),
        *("contentEncoding", "contentMediaType", "contentSchema", "multipleOf", "minimum"),
        *("maximum", "exclusiveMinimum", "exclusiveMaximum", "items", "prefixItems"),
        *("additionalItems", "unevaluatedItems", "contains", "minContains", "maxContains"),
        *("minItems", "maxItems", "uniqueItems", "properties", "patternProperties"),
        *("additionalProperties", "unevaluatedProperties", "propertyNames", "required"),
        *("minProperties", "maxProperties", "dependencies", "dependentRequired"),
        *("dependentSchemas", "definitions", "allOf", "anyOf", "oneOf", "not", "if", "then"),
        "else",
    }
)
"""Of all drafts in `dialects`, without those that begin with $."""
# Of OpenAPI and of editors; some are near a keyword.
_OTHERS = frozenset({"nullable", "example", "discriminator", "xml", "externalDocs", "options"})
_NEAR = 0.8  # similarity from which a word is taken for a misspelt keyword
_FORMATS = (
    *("date", "date-time", "time", "duration", "email", "idn-email", "hostname", "idn-hostname"),
    *("ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid"),
    *("json-pointer", "relative-json-pointer", "regex"),
)


def understood(schema: JSON) -> JSON:
    """The schema with `nullable: true` beside a `type` as that type or null."""
    if isinstance(schema, list):
        return [understood(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    nullable = [path for path, node in subschemas(schema) if _nullable(node)]
    return _with_null(schema, (), set(nullable)) if nullable else schema


def schema_hints(schema: JSON) -> list[Fault]:
    """Warnings about a schema as it was written, each with its place in the schema."""
    return list(_hints(schema))


def misspelt_keywords(schema: JSON) -> list[Fault]:
    """Keywords that no draft has and that are nearly one that it has: `enm` for `enum`.

    A schema with one of them checks less than it seems to.
    """
    hints: list[Fault] = []
    for path, node in subschemas(schema):
        for name in node:
            if name in KEYWORDS or name in _OTHERS or name.startswith(("x-", "$")):
                continue
            if len(hints) == MOST_HINTS:
                return hints
            close = close_to(name.lower(), KEYWORDS, most=1, cutoff=_NEAR)
            if close:
                hints.append(
                    Fault(
                        (*path, name),
                        f"{short(name)} is no keyword of JSON Schema; did you mean "
                        f"{short(close[0])}?",
                    )
                )
    return hints


def _hints(schema: JSON) -> Iterator[Fault]:
    dialect = dialect_of(schema)
    for path, node in subschemas(schema):
        if _nullable(node):
            types = ", ".join([*_types(node), '"null"'])
            more = ""
            if isinstance(node.get("enum"), list) and None not in node["enum"]:
                more = "; its enum has no null, so null does not fit: add it there"
            yield Fault(
                (*path, "nullable"),
                f"nullable is OpenAPI's: it is read as type: [{types}]; write that{more}",
            )
        format_ = node.get("format")
        if isinstance(format_, str) and not known_format(dialect, format_):
            hint = _OPENAPI_FORMATS.get(format_.lower()) or _like(format_)
            yield Fault(
                (*path, "format"),
                f"the format {short(format_)} is not one that JSON Schema {dialect.name} checks: "
                f"values are not held to it{f'; {hint}' if hint else ''}",
            )


def _like(name: str) -> str | None:
    close = close_to(name.lower(), _FORMATS, most=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else None


def _nullable(node: dict[str, JSON]) -> bool:
    return node.get("nullable") is True and bool(_types(node)) and "null" not in _types(node)


def _types(node: dict[str, JSON]) -> list[str]:
    types = node.get("type")
    if isinstance(types, str):
        return [types]
    return [one for one in types if isinstance(one, str)] if isinstance(types, list) else []


def _with_null(node: JSON, path: Path, nullable: set[Path]) -> JSON:
    if isinstance(node, list):
        return [_with_null(item, (*path, index), nullable) for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    changed: dict[str, JSON] = {
        name: _with_null(item, (*path, name), nullable) for name, item in node.items()
    }
    if path in nullable:
        del changed["nullable"]
        changed["type"] = [*_types(node), "null"]
    return changed


@lru_cache(maxsize=512)
def known_format(dialect: Dialect, name: str) -> bool:
    """Whether values are held to the format in that draft."""
    try:
        dialect.validator(
            {"format": name}, validate_formats=True, ignore_unknown_formats=False, offline=True
        )
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True
