"""Cells of a table cast to what the input schema has."""

import pytest

from tierline.base.errors import UsageError
from tierline.features.casting import CannotCast, Kinds, cast, fields_of, input_of, kinds_of

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "note": {"type": ["string", "null"]},
    },
}


def kinds(*names: str) -> Kinds:
    return frozenset(names)


@pytest.mark.parametrize(
    ("cell", "allowed", "value"),
    [
        ("12", kinds("integer"), 12),
        (" 12 ", kinds("integer"), 12),
        ("12", kinds("number"), 12),
        ("1.50", kinds("number"), 1.5),
        ("2.0", kinds("integer"), 2.0),
        ("TRUE", kinds("boolean"), True),
        ("null", kinds("null", "integer"), None),
        ('["a", 1]', kinds("array"), ["a", 1]),
        ('{"a": 1}', kinds("object"), {"a": 1}),
        ("007", kinds("string", "integer"), "007"),
        (" x ", kinds("string"), " x "),
        ("2024-01-05", kinds("string"), "2024-01-05"),
    ],
)
def test_a_cell_becomes_what_the_schema_allows(cell: str, allowed: Kinds, value: object) -> None:
    result = cast(cell, allowed)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("cell", "allowed"),
    [
        ("secret", kinds("integer")),
        ("1.5", kinds("integer")),
        ("NaN", kinds("number")),
        ("1e999", kinds("number")),
        ("1.250,00", kinds("number")),
        ("yes", kinds("boolean")),
        ("[1", kinds("array")),
        ("9" * 5000, kinds("integer")),
    ],
)
def test_a_cell_that_is_of_no_allowed_type_is_refused_without_being_quoted(
    cell: str, allowed: Kinds
) -> None:
    with pytest.raises(CannotCast) as refused:
        cast(cell, allowed)
    assert cell not in str(refused.value)


def test_an_empty_cell_is_a_field_that_is_absent() -> None:
    fields = fields_of(SCHEMA, ["text", "count"], {}, None)
    assert input_of(fields, ["x", ""]) == {"text": "x"}


def test_an_empty_cell_is_null_where_the_field_is_required_and_may_be_null() -> None:
    schema = SCHEMA | {"required": ["text", "note"]}
    fields = fields_of(schema, ["text", "note"], {}, None)
    assert input_of(fields, ["x", ""]) == {"text": "x", "note": None}


def test_a_type_is_found_through_references_and_choices() -> None:
    root = {"$defs": {"a/b": {"anyOf": [{"type": "integer"}, {"const": True}]}}}
    assert kinds_of({"$ref": "#/$defs/a~1b"}, root) == {"integer", "boolean"}


def test_a_reference_to_itself_ends() -> None:
    root = {"$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert kinds_of({"$ref": "#/$defs/a"}, root) == {"string"}


@pytest.mark.parametrize(
    ("columns", "mapping", "id_column", "message"),
    [
        (["body"], {}, None, "--map text=COLUMN"),
        (["body"], {"text": "boddy"}, None, "columns are: body"),
        (["text"], {}, "id", '"id" does not exist'),
        (["text", "text"], {}, None, "more than once"),
        (["text", "x"], {"other": "x"}, None, "no field"),
    ],
)
def test_columns_that_do_not_make_the_input_are_a_usage_error(
    columns: list[str], mapping: dict[str, str], id_column: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        fields_of(SCHEMA, columns, mapping, id_column)


def test_a_mapping_goes_before_a_column_of_the_same_name() -> None:
    fields = fields_of(SCHEMA, ["text", "body"], {"text": "body"}, None)
    assert input_of(fields, ["wrong", "right"]) == {"text": "right"}


def test_all_columns_but_the_id_are_fields_where_the_schema_names_none() -> None:
    fields = fields_of({}, ["id", "a", "b"], {}, "id")
    assert input_of(fields, ["7", "x", "1"]) == {"a": "x", "b": "1"}
