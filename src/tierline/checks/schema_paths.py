"""Whether a schema has a field at a path, and what it may be."""

import re

from tierline.base.json_text import JSON, short
from tierline.checks.schema_bounds import at
from tierline.features.parsing.reading import near

_STEP = re.compile(r"([^.\[\]]+)((?:\[\])*)")
_MOST_REFERENCES = 20  # followed in a row


def no_such_field(text: str, schema: JSON) -> str | None:
    """Why a path of the output leads nowhere; None if it leads to a field or the schema leaves that
    open.
    """
    root = schema
    for match in _STEP.finditer(text):
        name, brackets = match.groups()
        schema = followed(schema, root)
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(properties, dict):
            closed = isinstance(schema, dict) and schema.get("type") not in (None, "object")
            return f"the output has no field {short(name)}" if closed else None
        if name not in properties:
            return f"the output has no field {short(name)}{near(name, properties)}"
        schema = properties[name]
        for _ in range(len(brackets) // 2):
            schema = followed(schema, root)
            schema = schema.get("items") if isinstance(schema, dict) else None
    return None


def followed(schema: JSON, root: JSON) -> JSON:
    """The schema, or what its reference leads to."""
    for _ in range(_MOST_REFERENCES):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            return schema
        schema = at(root, reference)
    return None
