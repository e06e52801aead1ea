"""The page of the REST API, made from the OpenAPI document. Pure: a document in, Markdown out."""

from collections.abc import Sequence
from typing import Any

JSON = dict[str, Any]
HEAD = """\
# REST reference

Made from the OpenAPI document of version {version}, which is [openapi.json](openapi.json).
Any running API has it at `/openapi.json`, and shows it at `/docs`.

{description}
Their bodies are `application/problem+json`; all others are JSON where nothing else is said.

Send the key as `Authorization: Bearer tl_…`. [Security](security.md) has the scopes,
[limits](limits.md) how much a request may take.
"""


def reference(document: JSON) -> str:
    """The whole page: the operations by tag, then the objects that they take and give."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            by_tag.setdefault(tag, []).append(_operation(method, path, operation))
    info = document["info"]
    parts = [HEAD.format(version=info["version"], description=info["description"])]
    for tag in sorted(by_tag):
        parts += [f"## {tag.capitalize()}\n", *by_tag[tag]]
    schemas = document["components"]["schemas"]
    parts += ["## Objects\n", *(_object(name, schemas[name]) for name in sorted(schemas))]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: JSON) -> str:
    lines = [f"### {operation['summary']}\n", f"`{method.upper()} {path}`\n"]
    if operation.get("deprecated"):
        lines.append("Deprecated.\n")
    if operation.get("description"):
        lines.append(f"{_plain(operation['description'])}\n")
    rows = [
        (f"`{one['name']}`", one["in"], _type(one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", [])
    ]
    lines.append(_table(("parameter", "in", "type", "meaning"), rows))
    if "requestBody" in operation:
        lines.append(f"Body: {_content(operation['requestBody'])}\n")
    answers = [
        (f"`{status}`", _content(answer), answer.get("description", ""))
        for status, answer in sorted(operation["responses"].items())
    ]
    lines.append(_table(("answer", "body", "meaning"), answers))
    return "\n".join(lines)


def _object(name: str, schema: JSON) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (f"`{field}`", _type(of) + (", required" if field in required else ""), _meaning(of))
        for field, of in schema.get("properties", {}).items()
    ]
    lines = [f"({_target(name)})=\n### {name}\n"]
    if schema.get("description"):
        lines.append(f"{_plain(schema['description'])}\n")
    if not rows:
        lines.append(f"{_type({k: v for k, v in schema.items() if k != 'description'})}\n")
    lines.append(_table(("field", "type", "meaning"), rows))
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(_cell(value) for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def _content(of: JSON) -> str:
    kinds = of.get("content", {})
    said = []
    for kind, body in kinds.items():
        type_ = _type(body["schema"]) if "schema" in body else ""
        usual = kind in {"application/json", "application/problem+json"}
        said.append(type_ if usual else f"{type_} (`{kind}`)".strip())
    return ", ".join(said)


def _type(schema: JSON) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{_target(name)})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[key]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any JSON")
    if isinstance(kind, list):
        return " or ".join(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return f"{kind} ({schema['format']})" if "format" in schema and kind == "string" else str(kind)


def _meaning(schema: JSON) -> str:
    said = [str(schema["description"])] if "description" in schema else []
    if schema.get("default") is not None:
        said.append(f"default `{schema['default']}`")
    bounds = (("minimum", "at least"), ("maximum", "at most"))
    said += [f"{words} {schema[key]}" for key, words in bounds if key in schema]
    return "; ".join(said)


def _target(name: str) -> str:
    return f"object-{name.lower()}"


def _plain(text: str) -> str:
    """Text of the document as Markdown that shows it as it is."""
    return text.replace("<", "&lt;").strip()


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")
