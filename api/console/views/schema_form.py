"""A form made from an output schema, to say what is right: a field for each simple property, and a
JSON text for what is nested."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from api.console.visible import visible
from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON, NotJson, parse_json

MOST_FIELDS = 30
MOST_DEPTH = 100
LONG = 80  # characters from which on a text gets an area of several lines
Kind = Literal["text", "number", "integer", "boolean", "enum", "json"]
_SIMPLE: dict[str, Kind] = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
_ABSENT = object()


@dataclass(frozen=True)
class Field:
    """One field of the form."""

    name: str  # in the form
    key: str | None  # of the output; None: the whole output
    label: str
    kind: Kind
    required: bool
    nullable: bool
    options: tuple[JSON, ...] = ()  # enum: the values
    hint: str = ""

    @property
    def path(self) -> str:
        return pointer(("expected",) if self.key is None else ("expected", self.key))


@dataclass(frozen=True)
class Shown:
    """A field with its text."""

    field: Field
    text: str  # enum and boolean: the number of the option, or empty
    choices: tuple[str, ...] = ()  # enum and boolean: the options as people read them

    @property
    def long(self) -> bool:
        return self.field.kind == "json" or len(self.text) > LONG or "\n" in self.text


def fields_of(schema: Mapping[str, JSON], output: JSON) -> list[Field]:
    """The fields for a schema, in the order of the answer.

    `output`: the answer; if it has properties that the schema does not name, all is one JSON text.
    """
    properties = schema.get("properties")
    simple = (
        schema.get("type") == "object"
        and isinstance(properties, dict)
        and 0 < len(properties) <= MOST_FIELDS
        and (not isinstance(output, dict) or output.keys() <= properties.keys())
    )
    if not simple or not isinstance(properties, dict):
        return [_field("v", None, "What is right", schema, required=True)]
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    # The database keeps no order of a schema's properties, and the answer's own order.
    places = {name: place for place, name in enumerate(sorted(properties))}
    named = [*(output if isinstance(output, dict) else ()), *sorted(properties)]
    return [
        _field(f"v{places[name]}", name, name, properties[name], required=name in needed)
        for name in dict.fromkeys(named)
    ]


def shown(fields: list[Field], output: JSON, typed: Mapping[str, str] | None = None) -> list[Shown]:
    """The fields with the answer's values, or with what a person typed."""
    rows = []
    for field in fields:
        if typed is not None:
            text = typed.get(field.name, "")
        elif field.key is None:
            text = _text(field, output)
        else:
            value = _property(output, field.key)
            text = "" if value is _ABSENT else _text(field, value)
        rows.append(Shown(field, text, tuple(_choice(option) for option in _options(field))))
    return rows


def read_form(fields: list[Field], typed: Mapping[str, str], output: JSON = None) -> JSON:
    """What a person typed, as an output. Raises InvalidInput that names the fields.

    `output`: the answer that the form showed. A page shows hidden characters as their codes; a text
    of it that is sent as it was shown keeps the characters.
    """
    problems: list[Problem] = []
    properties: dict[str, JSON] = {}
    whole: JSON = None
    for field in fields:
        text = typed.get(field.name, "").replace("\r\n", "\n")
        before = output if field.key is None else _property(output, field.key)
        try:
            if field.kind == "text" and isinstance(before, str) and text == visible(before):
                value: object = before
            else:
                value = _read(field, text)
        except (NotJson, ValueError) as error:
            message = error.message if isinstance(error, NotJson) else str(error)
            problems.append(Problem(message, field.path))
            continue
        if field.key is None:
            whole = None if value is _ABSENT else value
        elif value is not _ABSENT:
            properties[field.key] = value
    if problems:
        raise InvalidInput(problems)
    return whole if fields and fields[0].key is None else properties


def _property(output: JSON, key: str) -> object:
    return output.get(key, _ABSENT) if isinstance(output, dict) else _ABSENT


def _field(name: str, key: str | None, label: str, schema: JSON, *, required: bool) -> Field:
    of = schema if isinstance(schema, dict) else {}
    hint = of.get("description")
    hint = hint if isinstance(hint, str) else ""
    options = of.get("enum")
    types = of.get("type")
    names = types if isinstance(types, list) else [types]
    nullable = "null" in names
    if isinstance(options, list) and all(not isinstance(one, dict | list) for one in options):
        nullable = nullable or None in options
        values = tuple(one for one in options if one is not None)
        return Field(name, key, label, "enum", required, nullable, values, hint)
    kinds = [one for one in names if one != "null"]
    kind = _SIMPLE.get(kinds[0], "json") if len(kinds) == 1 and isinstance(kinds[0], str) else None
    return Field(name, key, label, kind or "json", required, nullable, (), hint)


def _options(field: Field) -> tuple[JSON, ...]:
    return (True, False) if field.kind == "boolean" else field.options


def _choice(option: JSON) -> str:
    return option if isinstance(option, str) else json.dumps(option, ensure_ascii=False)


def _text(field: Field, value: JSON) -> str:
    if field.kind in ("enum", "boolean"):
        options = _options(field)
        same = [
            place
            for place, option in enumerate(options)
            if option == value and isinstance(option, bool) == isinstance(value, bool)
        ]
        return str(same[0]) if same else ""
    if value is None and field.kind != "json":
        return ""
    if field.kind == "text" and isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if field.kind == "json" else None)


def _read(field: Field, text: str) -> object:
    """The value. _ABSENT: left out. Raises NotJson, ValueError."""
    if field.kind == "text":
        if text:
            return text
        return None if field.nullable else ("" if field.required else _ABSENT)
    text = text.strip()
    if not text:
        if field.nullable:
            return None
        if not field.required:
            return _ABSENT
        raise ValueError("is missing")
    if field.kind in ("enum", "boolean"):
        options = _options(field)
        if not text.isascii() or not text.isdigit() or int(text) >= len(options):
            raise ValueError("is none of the choices")
        return options[int(text)]
    if field.kind == "json":
        return parse_json(text, MOST_DEPTH)
    with suppress(NotJson):
        value = parse_json(text, MOST_DEPTH)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    raise ValueError("is not a number; write it as 1250.5")
