"""A JSON Schema in a line or two for a model: {"total": number, "currency": "EUR" | "SEK"}.

Schemas beyond this form are given as JSON. It is a description, not a check.
"""

import json

from tierline.base.json_text import JSON

_SCALARS = {"string", "number", "integer", "boolean", "null"}
_HARD = ("$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if", "patternProperties")
_MAX_NOTE = 120  # characters of a field's description


def shape_of(schema: JSON) -> str:
    """The short form, or the schema's JSON if it says more than the short form can."""
    try:
        return _shape(schema)
    except _NotSimple:
        return "the JSON Schema " + json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


class _NotSimple(Exception):
    pass


def _shape(schema: JSON) -> str:
    if not isinstance(schema, dict) or any(key in schema for key in _HARD):
        raise _NotSimple
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    types = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(types, list):
        return " | ".join(_shape({**schema, "type": one}) for one in types)
    if types == "object":
        return _object(schema)
    if types == "array":
        return f"[{_shape(schema.get('items', {}))}, …]" if "items" in schema else "[…]"
    if types in _SCALARS:
        return f"{types} ({schema['format']})" if "format" in schema else str(types)
    raise _NotSimple


def _object(schema: dict[str, JSON]) -> str:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    parts = []
    for name, item in properties.items():
        optional = "" if name in required else " (may be left out)"
        note = item.get("description", "") if isinstance(item, dict) else ""
        description = f" ({note[:_MAX_NOTE]})" if note else ""
        parts.append(f"{_literal(name)}: {_shape(item)}{description}{optional}")
    return "{" + ", ".join(parts) + "}"


def _literal(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
