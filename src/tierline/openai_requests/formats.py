"""Whether the format that a caller asks for is what a feature gives.

A feature's answers have its output schema. A caller's schema must allow every one of them; else the
request is refused, with the first place where it does not.
"""

from collections.abc import Mapping
from typing import Any

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON
from tierline.features.task import is_plain_text

_NOTES = {"title", "description", "default", "examples", "example", "$schema", "$id", "$comment"}
_COMPARED = {"type", "enum", "const", "properties", "required", "items", "additionalProperties"}
_SIMPLE = {"string", "number", "integer", "boolean", "null", "array", "object"}


def check_format(
    requested: Mapping[str, JSON] | None, output_schema: Mapping[str, JSON], where: str
) -> None:
    """Raises InvalidInput if the format contradicts the feature. `where`: the parameter's path.

    `text` is every feature's: an answer that is JSON is its text.
    """
    if requested is None:
        return
    kind = requested.get("type")
    if kind == "text":
        return
    if kind == "json_object":
        if _types(output_schema) != {"object"}:
            raise _contradicts(where, "the feature's output is not a JSON object")
    elif kind == "json_schema":
        schema = requested.get("schema")
        if not isinstance(schema, dict):
            raise InvalidInput([Problem("must be a JSON Schema", f"{where}/schema")])
        if is_plain_text(output_schema):
            raise _contradicts(where, "the feature's output is plain text")
        place = first_difference(schema, output_schema)
        if place is not None:
            at, why = place
            raise _contradicts(f"{where}/schema{at}", why)
    else:
        raise InvalidInput([Problem("must be text, json_object or json_schema", f"{where}/type")])


def first_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first place where `theirs` refuses what `ours` allows, and why; None: it refuses nothing.

    It compares schemas, not answers. It may refuse a schema that says the same with other keywords,
    and accepts none that refuses an answer of `ours`.
    """
    return _difference(theirs, ours, theirs, ours, "", 0)


def _difference(
    theirs: Any, ours: Any, their_root: Any, our_root: Any, at: str, depth: int
) -> tuple[str, str] | None:
    if depth > 40:
        return at, "the schemas are nested too deeply to be compared"
    theirs, ours = _resolved(theirs, their_root), _resolved(ours, our_root)
    if theirs is True or theirs == {}:
        return None
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return at, "differs from the feature's output"
    their_types, our_types = _types(theirs), _types(ours)
    if their_types is not None and (our_types is None or not _within(our_types, their_types)):
        return f"{at}/type", f"must be {_types_text(our_types)}, as in the feature's output"
    if "enum" in theirs or "const" in theirs:
        allowed, possible = _values(theirs), _values(ours)
        if not allowed or possible is None or any(value not in allowed for value in possible):
            return f"{at}/enum", "leaves out values that the feature's output has"
    for name in sorted(theirs.keys() - _COMPARED - _NOTES - {"$defs", "definitions"}):
        if theirs[name] != ours.get(name):
            return f"{at}/{name}", "differs from the feature's output"
    required = set(theirs.get("required", ())) - set(ours.get("required", ()))
    if required:
        return f"{at}/required", f"the feature's output may leave out {min(required)!r}"
    difference = _of_fields(theirs, ours, their_root, our_root, at, depth)
    if difference is None and "items" in theirs:
        inner = ours.get("items", {})
        difference = _difference(
            theirs["items"], inner, their_root, our_root, f"{at}/items", depth + 1
        )
    return difference


def _of_fields(
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
    their_root: Any,
    our_root: Any,
    at: str,
    depth: int,
) -> tuple[str, str] | None:
    fields, own = theirs.get("properties", {}), ours.get("properties", {})
    more = theirs.get("additionalProperties", True)
    if more is not True and more != {}:
        if ours.get("additionalProperties", True) is not False:
            why = (
                "the feature's output may have more fields: write additionalProperties: false in"
                " its file, or leave it out here"
            )
            return f"{at}/additionalProperties", why
        unknown = own.keys() - fields.keys()
        if unknown and more is False:
            return f"{at}/properties", f"the feature's output has {min(unknown)!r} too"
    for name, field in fields.items():
        place = f"{at}/properties/{name}"
        if name in own:
            difference = _difference(field, own[name], their_root, our_root, place, depth + 1)
            if difference is not None:
                return difference
        elif ours.get("additionalProperties", True) is not False and field not in (True, {}):
            return place, "is not a field of the feature's output"
    return None


def _resolved(schema: Any, root: Any) -> Any:
    """The schema without a reference at its top, and with anyOf of simple types as one `type`."""
    for _ in range(20):
        if not (isinstance(schema, dict) and isinstance(schema.get("$ref"), str)):
            break
        target = root
        for part in schema["$ref"].removeprefix("#").split("/")[1:]:
            target = target.get(part) if isinstance(target, dict) else None
        schema = target
    if not isinstance(schema, dict) or "anyOf" not in schema:
        return schema
    choices = [one for one in schema["anyOf"] if one != {"type": "null"}]
    if len(choices) == 1 and isinstance(choices[0], dict) and len(schema["anyOf"]) == 2:
        inner = _resolved(choices[0], root)
        kinds = _types(inner) if isinstance(inner, dict) else None
        if kinds is not None:
            others = {name: value for name, value in schema.items() if name != "anyOf"}
            return {**inner, **others, "type": [*sorted(kinds), "null"]}
    return schema


def _types(schema: Mapping[str, Any]) -> set[str] | None:
    """The JSON types of a schema; None: any."""
    kind = schema.get("type")
    if kind is None:
        return None
    kinds = {kind} if isinstance(kind, str) else set(kind)
    if schema.get("nullable") is True:
        kinds.add("null")
    return kinds & _SIMPLE


def _within(ours: set[str], theirs: set[str]) -> bool:
    return ours <= (theirs | ({"integer"} if "number" in theirs else set()))


def _types_text(types: set[str] | None) -> str:
    return "any type" if types is None else " or ".join(sorted(types))


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return list(values) if isinstance(values, list) else None


def _contradicts(path: str, why: str) -> InvalidInput:
    return InvalidInput([Problem(f"contradicts the feature: {why}", path)])
