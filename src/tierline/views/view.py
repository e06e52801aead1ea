"""The base of the response models, and the forms of ids, times and amounts."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    create_model,
)
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema

from tierline.base.formats import usd, when
from tierline.base.json_text import JSONValue

Item = TypeVar("Item", bound="View")
Kind = TypeVar("Kind", bound="View")


class View(BaseModel):
    """A JSON object for callers, made from a row by `model_validate`.

    A field without a default is always included. One with a default is left out unless it was set.
    """

    # Built at the first use, so that a starting process does not wait for unused models.
    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        from_attributes=True,
        validate_by_name=True,
        validate_by_alias=True,
        protected_namespaces=(),
    )

    @classmethod
    def exactly(cls, document: object) -> Self:
        """Made from exactly these fields. A field that the model lacks raises ValidationError;
        otherwise it would be dropped silently."""
        return cls.model_validate(document, extra="forbid")

    def to_json(self) -> bytes:
        """The object as JSON bytes."""
        try:
            return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_unset=True)
        except PydanticSerializationError:  # a lone surrogate in a row of an old release
            document = self.model_dump(by_alias=True, exclude_unset=True)
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
            return text.encode("utf-8", "replace")


def with_optional(
    model: type[Kind], name: str, doc: str, optional: Collection[str], /, **changed: Any
) -> type[Kind]:
    """`model` under another name: the fields in `optional` may be left out, and those in `changed`
    have another type."""
    fields: dict[str, Any] = {field: (kind, ...) for field, kind in changed.items()}
    for field in optional:
        declared = model.model_fields[field]
        fields[field] = (
            declared.rebuild_annotation(),
            Field(
                default=None,
                description=declared.description,
                validation_alias=declared.validation_alias,
            ),
        )
    return create_model(name, __base__=model, __doc__=doc, __module__=model.__module__, **fields)


class Page(View, Generic[Item]):
    """A page of a list."""

    data: list[Item]
    next_cursor: str | None = Field(description="pass it as ?cursor=; null: the last page")

    @classmethod
    def of(cls, items: Iterable[object], next_cursor: str | None = None) -> Self:
        """The page of these rows or views. Without a cursor it is the last page."""
        return cls.model_validate({"data": list(items), "next_cursor": next_cursor})


@dataclass(frozen=True)
class _PassedOn:
    """Marks a value that is passed on unchanged, neither checked nor copied."""

    object: bool = False  # else any JSON value

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # Without additionalProperties, openapi-typescript makes the type of an empty object.
        return {"type": "object", "additionalProperties": True} if self.object else {}


if TYPE_CHECKING:
    _Value = JSONValue
    _Object = Mapping[str, JSONValue]
else:  # pydantic would look for the name in the alias in each module that uses it
    _Value = _Object = Any

AnyJson = Annotated[_Value, _PassedOn()]

ANY_JSON = {"$ref": "#/components/schemas/Json"}
"""The schema of a JSON value in a request: it must be storable."""

AnyObject = Annotated[_Object, _PassedOn(object=True)]

TextId = Annotated[str, BeforeValidator(str)]
"""A number from a row that is sent as text, so that no client rounds it."""

Time = Annotated[
    datetime,
    PlainSerializer(when, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Usd = Annotated[
    Decimal,
    PlainSerializer(usd, return_type=str),
    WithJsonSchema({"type": "string", "description": "USD, a decimal", "examples": ["0.00042"]}),
]
UnknownCostCalls = Annotated[int, Field(description="calls with an unknown cost")]
