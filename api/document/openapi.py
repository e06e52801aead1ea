"""The OpenAPI document: how a route declares its answers, and the document of an app.

The components come from the models of `tierline.views` that the routes name.
"""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonRef, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from api.document.links import add_links
from api.http.problems import SCHEMA as PROBLEM
from tierline.base.json_text import JSONValue
from tierline.views.view import ANY_JSON

STORABLE = "^[^\\x00]*$"
"""Text that Postgres can store, as a pattern."""

_TEMPLATE = "#/components/schemas/{model}"
_Mode = Literal["validation", "serialization"]
_named: dict[type[BaseModel], _Mode] = {}  # the models that routes name

JSON_VALUE: Mapping[str, JSONValue] = {
    "description": "any JSON value without a NUL character, which cannot be stored",
}
"""It has no type and does not refer to itself: openapi-python-client drops every model that reaches
a schema that does.
"""

ETAG_HEADERS: Mapping[str, JSONValue] = {
    "ETag": {"schema": {"type": "string"}, "description": "strong; of this representation"},
    "Cache-Control": {"schema": {"type": "string"}},
}


def returns(
    description: str, model: type[BaseModel], headers: Mapping[str, JSONValue] | None = None
) -> dict[str, Any]:
    """A JSON answer of a route, for its `responses`."""
    response: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": component(model)}},
    }
    return response | ({"headers": dict(headers)} if headers else {})


def takes(model: type[BaseModel], example: JSONValue) -> dict[str, Any]:
    """The JSON body that a route takes, as a component, for its `openapi_extra`."""
    content = {"schema": component(model, sent=True), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def component(model: type[BaseModel], *, sent: bool = False) -> dict[str, Any]:
    """A reference to a model, which adds it to the document's components."""
    _named[model] = "validation" if sent else "serialization"
    return {"$ref": _TEMPLATE.format(model=model.__name__)}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of all the routes of `app`."""
    openapi = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = openapi.setdefault("components", {})
    schemas = components.get("schemas", {})
    # The framework's own form of a 422 is unused, because every route declares its own.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["schemas"] = {
        **schemas,
        "Problem": PROBLEM,
        "Json": JSON_VALUE,
        **_components(),
    }
    add_links(openapi)
    return openapi


def _components() -> dict[str, Any]:
    models = list(_named.items())
    refs, schemas = models_json_schema(models, ref_template=_TEMPLATE, schema_generator=_Short)
    components: dict[str, Any] = schemas["$defs"]
    waiting = [refs[model, mode] for model, mode in models if mode == "validation"]
    strict: set[str] = set()
    while waiting:
        name = waiting.pop()["$ref"].rpartition("/")[2]
        if name in components and name not in strict:
            strict.add(name)
            components[name] = _storable(components[name], waiting)
    return components


_OF_ANY_TYPE = {"description", "default"}  # the keys of a field that takes any JSON


def _storable(value: Any, refs: list[JsonSchemaValue]) -> Any:
    """The schema of a body, whose texts exclude NUL, which strict JSON refuses. Adds the references
    in it to `refs`.
    """
    if isinstance(value, list):
        return [_storable(inner, refs) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        refs.append(value)
        return value
    schema = {name: _storable(inner, refs) for name, inner in value.items()}
    if isinstance(schema.get("properties"), dict):
        schema["properties"] = {
            name: {**field, **ANY_JSON} if set(field) <= _OF_ANY_TYPE else field
            for name, field in schema["properties"].items()
        }
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "object" in kinds and schema.get("additionalProperties") is True:
        schema |= {"additionalProperties": ANY_JSON, "propertyNames": {"pattern": STORABLE}}
    if "string" in kinds and not {"pattern", "format", "enum", "const"} & set(schema):
        schema["pattern"] = STORABLE
    return schema


class _Short(GenerateJsonSchema):
    """Omits titles, which only repeat the names, and writes nullable types as one `type`. Answers
    have no defaults."""

    def field_title_should_be_set(self, _: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        result = super().model_schema(schema)
        result.pop("title", None)
        return result

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        kind = inner.get("type")
        if isinstance(kind, str) and not inner.keys() & {"enum", "const"}:
            return {**inner, "type": [kind, "null"]}
        return super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if self.mode == "validation":  # of a body, where a caller wants to know it
            return super().default_schema(schema)
        return self.generate_inner(schema["schema"])

    def get_schema_from_definitions(self, json_ref: JsonRef) -> JsonSchemaValue | None:
        if json_ref == ANY_JSON["$ref"]:  # our own component, not a model
            return None
        return super().get_schema_from_definitions(json_ref)
