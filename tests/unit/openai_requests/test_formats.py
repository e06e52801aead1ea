"""A format that contradicts the feature is refused."""

from typing import Any, Literal

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tierline.base.errors import InvalidInput
from tierline.openai_requests.formats import check_format, first_difference

OUTPUT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["total", "currency", "lines"],
    "properties": {
        "total": {"type": ["number", "null"]},
        "currency": {"type": "string", "enum": ["EUR", "USD"]},
        "lines": {"type": "array", "items": {"type": "string"}},
    },
}


class Invoice(BaseModel):
    total: float | None
    currency: Literal["EUR", "USD", "GBP"]
    lines: list[str]


class Narrow(Invoice):
    currency: Literal["EUR"]  # type: ignore[assignment]


class Longer(Invoice):
    note: str


def asked(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "name": "x", "strict": True, "schema": schema}


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema that OpenAI's client sends for the model."""
    # Imported here: it takes a second, and every process of the tests reads this file.
    from openai.lib._pydantic import to_strict_json_schema

    return to_strict_json_schema(model)


def test_a_model_of_pydantic_that_allows_every_answer_is_accepted() -> None:
    check_format(asked(strict_schema(Invoice)), OUTPUT, "/text/format")


@pytest.mark.parametrize(
    ("model", "place"), [(Narrow, "/properties/currency/enum"), (Longer, "/required")]
)
def test_one_that_refuses_an_answer_is_refused_with_its_place(
    model: type[BaseModel], place: str
) -> None:
    with pytest.raises(InvalidInput, match="contradicts the feature") as refused:
        check_format(asked(strict_schema(model)), OUTPUT, "/text/format")
    assert refused.value.problems[0].path == f"/text/format/schema{place}"


@pytest.mark.parametrize(
    ("format", "schema", "fits"),
    [
        (None, OUTPUT, True),
        ({"type": "text"}, OUTPUT, True),
        ({"type": "text"}, {"type": "string"}, True),
        ({"type": "json_object"}, OUTPUT, True),
        ({"type": "json_object"}, {"type": "string"}, False),
        ({"type": "json_object"}, {"type": "array"}, False),
        (asked({"type": "string"}), {"type": "string"}, False),
        (asked(OUTPUT), OUTPUT, True),
        (asked({"type": "object"}), OUTPUT, True),
        ({"type": "json_schema"}, OUTPUT, False),
        ({"type": "grammar"}, OUTPUT, False),
        ({}, OUTPUT, False),
    ],
)
def test_a_format_is_compared_with_the_feature(
    format: dict[str, Any] | None, schema: dict[str, Any], fits: bool
) -> None:
    if fits:
        check_format(format, schema, "/text/format")
    else:
        with pytest.raises(InvalidInput):
            check_format(format, schema, "/text/format")


def test_a_feature_that_leaves_its_output_open_says_what_to_write() -> None:
    difference = first_difference(
        {**OUTPUT},
        {name: value for name, value in OUTPUT.items() if name != "additionalProperties"},
    )
    assert difference is not None
    assert "additionalProperties: false" in difference[1]


simple = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "number"},
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"enum": ["a", 1]},
        {"type": "string", "enum": ["a", "b"]},
        {"const": "a"},
        {"type": "string", "maxLength": 1},
        {},
    ]
)
schemas = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda fields, required, closed: {
                "type": "object",
                "properties": fields,
                "required": [name for name in required if name in fields],
                **({"additionalProperties": False} if closed else {}),
            },
            st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            st.lists(st.sampled_from("ab"), unique=True),
            st.booleans(),
        ),
    ),
    max_leaves=4,
)
values = st.recursive(
    st.sampled_from([None, "a", "b", "long", 1, 1.5, True]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)


def looser(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "required"}


pairs = st.one_of(
    st.tuples(schemas, schemas),
    schemas.map(lambda schema: (schema, schema)),
    schemas.map(lambda schema: (looser(schema), schema)),
)


@given(pairs, values)
def test_a_schema_that_is_accepted_refuses_no_answer_of_the_feature(
    pair: tuple[dict[str, Any], dict[str, Any]], value: Any
) -> None:
    theirs, ours = pair
    if first_difference(theirs, ours) is None and jsonschema_rs.is_valid(ours, value):
        assert jsonschema_rs.is_valid(theirs, value)


@given(schemas)
def test_a_feature_never_contradicts_its_own_schema(schema: dict[str, Any]) -> None:
    difference = first_difference(schema, schema)
    assert difference is None or "anyOf" in difference[0] or "additionalProperties" in difference[1]
