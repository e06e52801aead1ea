"""Reads a feature file's key `openai`."""

from collections.abc import Mapping

from tierline.base.json_text import JSON
from tierline.features.openai_options import (
    CONVERSATION_FIELD,
    INSTRUCTIONS_FIELD,
    TREATMENTS,
    OpenaiOptions,
)
from tierline.features.parsing.reading import Reading

PATH = ("openai",)
KEYS = ("instructions", "conversation")
_FIELDS = {
    "instructions": (INSTRUCTIONS_FIELD, "string", "{type: string}"),
    "conversation": (CONVERSATION_FIELD, "array", "{type: array}"),
}


def read_openai(
    reading: Reading, value: JSON, input_schema: Mapping[str, JSON] | None
) -> OpenaiOptions:
    """The value of the key `openai`. Problems are recorded with their lines."""
    item = reading.mapping(value, PATH, KEYS)
    if isinstance(value, dict) and not item:
        reading.problem(PATH, f'needs a key: "{KEYS[0]}" or "{KEYS[1]}"')
    options = OpenaiOptions(
        **{
            name: reading.choice(item[name], (*PATH, name), TREATMENTS)
            for name in KEYS
            if name in item
        }
    )
    for name, (field, kind, written) in _FIELDS.items():
        if getattr(options, name) == "input" and not _declares(input_schema or {}, field, kind):
            reading.problem(
                (*PATH, name),
                f'the input needs the field "{field}" for them: write {field}: {written} under'
                " its properties",
            )
    return options


def _declares(schema: Mapping[str, JSON], field: str, kind: str) -> bool:
    properties = schema.get("properties")
    schema_of_field = properties.get(field) if isinstance(properties, dict) else None
    if not isinstance(schema_of_field, dict):
        return False
    types = schema_of_field.get("type")
    return types is None or kind in (types if isinstance(types, list) else [types])
