"""Converts a table's text cells to an input, with the types of the input schema.

A cell becomes the first of null, boolean, integer, number, array and object that the schema allows
and that the text matches. If the schema allows text, the text is kept exactly. An empty cell means
that the field is absent. Pure.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON, NotJson, parse_json, short

Kinds = frozenset[str]

_ANY: Kinds = frozenset({"string"})
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MAX_DIGITS = 4_000  # Python refuses to read longer integers
_KIND_NAMES = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
_NAMED_COLUMNS = 20  # in a message


class CannotCast(Exception):
    """The cell does not match the schema's type. The message names the type, never the cell's
    content.
    """


@dataclass(frozen=True)
class Field:
    """One field of the input, and its column."""

    name: str
    column: int  # from 0
    kinds: Kinds
    null_when_empty: bool  # required, and may be null


def fields_of(
    schema: Mapping[str, JSON],
    columns: Sequence[str],
    mapping: Mapping[str, str],
    id_column: str | None,
) -> list[Field]:
    """Which column fills which field. Raises UsageError if a required column is missing.

    Without a mapping, a field takes the column of its own name.
    """
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    chosen = dict(mapping)
    for column in columns:
        if column in properties and column not in chosen:
            chosen[column] = column
        elif not properties and not mapping and column != id_column:
            chosen[column] = column  # the schema names no fields, so all columns are fields
    names = ", ".join(columns[:_NAMED_COLUMNS]) + (" …" if len(columns) > _NAMED_COLUMNS else "")
    for used in [*chosen.values(), *([id_column] if id_column is not None else [])]:
        if columns.count(used) != 1:
            problem = "occurs more than once" if used in columns else "does not exist"
            raise UsageError(f"the column {short(used)} {problem}; the columns are: {names}")
    if schema.get("additionalProperties") is False:
        for name in chosen.keys() - properties.keys():
            field_names = ", ".join(properties)
            raise UsageError(f"--map: the input has no field {short(name)}; it has: {field_names}")
    for name in required:
        if name not in chosen:
            raise UsageError(
                f"the input needs {short(name)}: give its column with --map {name}=COLUMN; "
                f"the columns are: {names}"
            )
    return [
        Field(name, columns.index(column), kinds, name in required and "null" in kinds)
        for name, column in chosen.items()
        for kinds in [kinds_of(properties.get(name, {}), schema)]
    ]


def input_of(fields: Sequence[Field], cells: Sequence[str]) -> dict[str, JSON]:
    """The input from a row's cells. Raises CannotCast with the field."""
    input: dict[str, JSON] = {}
    for field in fields:
        cell = cells[field.column]
        if cell == "":
            if field.null_when_empty:
                input[field.name] = None
            continue
        try:
            input[field.name] = cast(cell, field.kinds)
        except CannotCast as error:
            raise CannotCast(f"{field.name}: {error}") from None
    return input


def cast(cell: str, kinds: Kinds) -> JSON:
    """The value of a non-empty cell. Raises CannotCast."""
    if "string" in kinds:
        return cell
    text = cell.strip()
    word = text.lower()
    if "null" in kinds and word == "null":
        return None
    if "boolean" in kinds and word in ("true", "false"):
        return word == "true"
    if kinds & {"integer", "number"} and _WHOLE.fullmatch(text) and len(text) < _MAX_DIGITS:
        return int(text)
    if kinds & {"integer", "number"} and _NUMBER.fullmatch(text):
        number = float(text)
        if math.isfinite(number) and ("number" in kinds or number.is_integer()):
            return number
    if kinds & {"array", "object"} and text[:1] in ("[", "{"):
        try:
            return parse_json(text)
        except NotJson as error:
            raise CannotCast(error.message) from None
    expected = sorted(_KIND_NAMES.get(kind, f"JSON ({kind})") for kind in kinds)
    raise CannotCast(f"is not {' or '.join(expected)}")


def kinds_of(schema: JSON, root: Mapping[str, JSON], depth: int = 8) -> Kinds:
    """The JSON types that a field may have; text if the schema does not say."""
    if not isinstance(schema, dict) or depth == 0:
        return _ANY
    named = schema.get("type")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, list):
        return frozenset(named)
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if values:
        return frozenset(_kind_of(value) for value in values)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return kinds_of(_referred(reference, root), root, depth - 1)
    for among in ("anyOf", "oneOf"):
        if schema.get(among):
            return frozenset().union(*(kinds_of(one, root, depth - 1) for one in schema[among]))
    return _ANY


def _referred(reference: str, root: Mapping[str, JSON]) -> JSON:
    node: JSON = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _kind_of(value: JSON) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    kinds: list[tuple[type, str]] = [(float, "number"), (str, "string"), (list, "array")]
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")
