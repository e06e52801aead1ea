"""The drafts of JSON Schema that a schema may be written in, by its `$schema`.

A schema is validated by its own draft. What the drafts before 2020-12 write differently is known
here for code that reads schemas itself, and for servers that read 2020-12 only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import jsonschema_rs

from tierline.base.json_text import JSON

Schema = Mapping[str, JSON]
Path = tuple[str | int, ...]
Validator: TypeAlias = (
    jsonschema_rs.Draft4Validator
    | jsonschema_rs.Draft6Validator
    | jsonschema_rs.Draft7Validator
    | jsonschema_rs.Draft201909Validator
    | jsonschema_rs.Draft202012Validator
)
VALUES = ("enum", "const", "default", "examples")  # contain values, not schemas
_NAMED = (
    *("properties", "patternProperties", "$defs", "definitions"),
    *("dependentSchemas", "dependencies"),
)


@dataclass(frozen=True)
class Dialect:
    """One draft."""

    name: str  # as people call it
    uri: str  # its $schema
    validator: type[Validator]


CURRENT = Dialect(
    "2020-12",
    "https://json-schema.org/draft/2020-12/schema",
    jsonschema_rs.Draft202012Validator,
)
DIALECTS = (
    CURRENT,
    Dialect(
        "2019-09",
        "https://json-schema.org/draft/2019-09/schema",
        jsonschema_rs.Draft201909Validator,
    ),
    Dialect("draft-07", "http://json-schema.org/draft-07/schema", jsonschema_rs.Draft7Validator),
    Dialect("draft-06", "http://json-schema.org/draft-06/schema", jsonschema_rs.Draft6Validator),
    Dialect("draft-04", "http://json-schema.org/draft-04/schema", jsonschema_rs.Draft4Validator),
)
NAMES = ", ".join(dialect.name for dialect in DIALECTS)
_ADDRESSES = {dialect.uri.partition("://")[2]: dialect for dialect in DIALECTS}
_ANY_DRAFT = "json-schema.org/schema"  # "the newest", as old schemas say


def dialect_named(uri: JSON) -> Dialect | None:
    """The draft that a `$schema` names, with http or https, with or without its last #."""
    if not isinstance(uri, str):
        return None
    address = uri.rstrip("#").partition("://")[2]
    return CURRENT if address == _ANY_DRAFT else _ADDRESSES.get(address)


def dialect_of(schema: JSON) -> Dialect:
    """The draft that a schema is written in: 2020-12 unless its `$schema` names another."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    return dialect_named(named) or CURRENT


def subschemas(schema: JSON, path: Path = ()) -> Iterator[tuple[Path, dict[str, JSON]]]:
    """Every schema in a schema, itself included, with its place."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name, item in schema.items():
        if name in VALUES:
            continue
        if name in _NAMED and isinstance(item, dict):
            for key, below in item.items():
                yield from subschemas(below, (*path, name, key))
        elif isinstance(item, list):
            for index, below in enumerate(item):
                yield from subschemas(below, (*path, name, index))
        else:
            yield from subschemas(item, (*path, name))


def modern(schema: Schema) -> Schema:
    """The schema for a server that reads 2020-12: as it is, unless it is written in an older draft.

    Not for validating: base URIs and anchors are left as they are.
    """
    dialect = dialect_of(schema)
    if dialect is CURRENT:
        return schema
    current: dict[str, JSON] = _modern(schema, dialect.name == "2019-09")
    current.pop("$schema", None)
    return current


def _modern(node: JSON, with_siblings: bool) -> JSON:
    if isinstance(node, list):
        return [_modern(item, with_siblings) for item in node]
    if not isinstance(node, dict):
        return node
    current: dict[str, JSON] = {}
    for name, item in node.items():
        if name in VALUES:
            current[name] = item
        elif name == "definitions" and "$defs" not in node:
            current["$defs"] = {key: _modern(below, with_siblings) for key, below in item.items()}
        elif name in _NAMED and isinstance(item, dict):
            current[name] = {key: _modern(below, with_siblings) for key, below in item.items()}
        else:
            current[name] = _modern(item, with_siblings)
    reference = current.get("$ref")
    if isinstance(reference, str):
        current["$ref"] = reference.replace("#/definitions/", "#/$defs/", 1)
        if not with_siblings:  # until draft-07 nothing beside a reference counts
            current = {name: item for name, item in current.items() if name in ("$ref", "$defs")}
    if isinstance(current.get("items"), list):
        current["prefixItems"] = current.pop("items")
        if "additionalItems" in current:
            current["items"] = current.pop("additionalItems")
    current.pop("additionalItems", None)
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        switch = current.get(exclusive)
        if isinstance(switch, bool):  # draft-04
            del current[exclusive]
        if switch is True and limit in current:
            current[exclusive] = current.pop(limit)
    return current


def local_references(schema: JSON) -> JSON:
    """The schema with anchors and `$recursiveRef` as plain references of the form #/a/b.

    For code that follows references to see what a check may cost.
    """
    anchors: dict[str, str] = {}
    found_any = False
    for path, node in subschemas(schema):
        found_any = found_any or any(name in node for name in ("$recursiveRef", "$dynamicRef"))
        for name in ("$anchor", "$dynamicAnchor", "$id", "id"):
            anchor = node.get(name)
            if not isinstance(anchor, str):
                continue
            if name in ("$id", "id"):
                if not anchor.startswith("#") or len(anchor) < 2:
                    continue
                anchor = anchor[1:]
            anchors.setdefault(f"#{anchor}", "#" + "".join(f"/{_escaped(part)}" for part in path))
    if not anchors and not found_any:
        return schema
    return _local(schema, anchors)


def _local(node: JSON, anchors: Mapping[str, str]) -> JSON:
    if isinstance(node, list):
        return [_local(item, anchors) for item in node]
    if not isinstance(node, dict):
        return node
    local: dict[str, JSON] = {}
    for name, item in node.items():
        if name in _NAMED and isinstance(item, dict):
            local[name] = {key: _local(below, anchors) for key, below in item.items()}
        else:
            local[name] = item if name in VALUES else _local(item, anchors)
    references = [
        anchors.get(reference, reference)
        for name in ("$ref", "$recursiveRef", "$dynamicRef")
        if isinstance(reference := local.pop(name, None), str)
    ]
    if references:
        local["$ref"] = references[0]
    if references[1:]:
        more = local.get("allOf")
        local["allOf"] = [
            *(more if isinstance(more, list) else ()),
            *({"$ref": reference} for reference in references[1:]),
        ]
    return local


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
