"""What schemathesis needs to be told of bodies that are not JSON: a text, sent as it is, and rows.

Answers of rows are read by other tests: the document tells of one row, and the tool looks at whole
answers.
"""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/yaml")
def yaml_text(_context: Any, value: Any) -> bytes:
    """A feature file."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/x-ndjson")
def rows(_context: Any, value: Any) -> bytes:
    """A batch's part."""
    if isinstance(value, bytes):
        return value
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
