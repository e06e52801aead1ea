"""Schemas of the drafts that people have. Draft-07 and 2020-12 are also held against the official
suite, in test_schema.py.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tierline.checks.dialects import DIALECTS, dialect_named, modern
from tierline.checks.schema import SchemaCheck, schema_faults
from tierline.checks.schema_hints import schema_hints, understood

URI = {dialect.name: dialect.uri for dialect in DIALECTS}
ALL = sorted(URI)
OLD = ["draft-04", "draft-06", "draft-07"]
TUPLES = [*OLD, "2019-09"]  # where a list of items has a schema for each place


def of(draft: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": URI[draft], **schema}


def fits(draft: str, schema: dict[str, Any], value: Any) -> bool:
    assert schema_faults(of(draft, schema)) == []
    return SchemaCheck(of(draft, schema)).fits(value)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://json-schema.org/draft-04/schema#", "draft-04"),
        ("https://json-schema.org/draft-06/schema", "draft-06"),
        ("http://json-schema.org/draft-07/schema", "draft-07"),
        ("https://json-schema.org/draft/2019-09/schema#", "2019-09"),
        ("http://json-schema.org/draft/2020-12/schema", "2020-12"),
        ("http://json-schema.org/schema#", "2020-12"),
    ],
)
def test_a_draft_is_known_by_its_address(uri: str, name: str) -> None:
    dialect = dialect_named(uri)
    assert dialect is not None
    assert dialect.name == name


@pytest.mark.parametrize("uri", ["", "draft-07", "http://json-schema.org/draft-03/schema#", 7])
def test_other_addresses_name_no_draft(uri: Any) -> None:
    assert dialect_named(uri) is None


@pytest.mark.parametrize("draft", ALL)
def test_each_draft_holds_types_and_required_members(draft: str) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    assert fits(draft, schema, {"a": 1})
    assert not fits(draft, schema, {"a": "1"})
    assert not fits(draft, schema, {})


@pytest.mark.parametrize("draft", ALL)
def test_each_draft_holds_date_times(draft: str) -> None:
    assert not fits(draft, {"format": "date-time"}, "yesterday")


def test_draft_04_has_exclusive_limits_as_switches() -> None:
    schema = {"minimum": 3, "exclusiveMinimum": True}
    assert fits("draft-04", schema, 4)
    assert not fits("draft-04", schema, 3)


@pytest.mark.parametrize("draft", [one for one in ALL if one != "draft-04"])
def test_later_drafts_have_them_as_numbers(draft: str) -> None:
    assert not fits(draft, {"exclusiveMinimum": 3}, 3)
    assert schema_faults(of(draft, {"minimum": 3, "exclusiveMinimum": True}))


def test_draft_04_does_not_know_const() -> None:
    assert fits("draft-04", {"const": 1}, 2)
    assert not fits("draft-06", {"const": 1}, 2)


def test_if_begins_with_draft_07() -> None:
    schema = {"if": {"type": "string"}, "then": {"minLength": 2}}
    assert fits("draft-06", schema, "a")
    assert not fits("draft-07", schema, "a")


@pytest.mark.parametrize("draft", TUPLES)
def test_a_list_of_items_has_a_schema_for_each_place(draft: str) -> None:
    schema = {"items": [{"type": "string"}, {"type": "number"}], "additionalItems": False}
    assert fits(draft, schema, ["a", 1])
    assert not fits(draft, schema, [1, "a"])
    assert not fits(draft, schema, ["a", 1, 2])


@pytest.mark.parametrize("draft", OLD)
def test_nothing_beside_a_reference_counts_until_draft_07(draft: str) -> None:
    schema = {
        "definitions": {"a": {"type": "string"}},
        "properties": {"x": {"$ref": "#/definitions/a", "maxLength": 1}},
    }
    assert fits(draft, schema, {"x": "long"})
    assert not fits("2019-09", schema, {"x": "long"})


@pytest.mark.parametrize("draft", OLD)
def test_dependencies_may_be_names_or_schemas(draft: str) -> None:
    schema = {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}
    assert not fits(draft, schema, {"a": 1})
    assert not fits(draft, schema, {"c": 1})
    assert fits(draft, schema, {"a": 1, "b": 1, "c": 1, "d": 1})


def test_2019_09_refers_back_to_its_root() -> None:
    schema = {"properties": {"child": {"$recursiveRef": "#"}}, "additionalProperties": False}
    assert fits("2019-09", schema, {"child": {"child": {}}})
    assert not fits("2019-09", schema, {"child": {"other": {}}})


def test_2019_09_knows_dependent_and_unevaluated_members() -> None:
    schema = {"dependentRequired": {"a": ["b"]}, "unevaluatedProperties": {"type": "number"}}
    assert not fits("2019-09", schema, {"a": 1})
    assert not fits("2019-09", schema, {"c": "x"})


@pytest.mark.parametrize("reference", ["$recursiveRef", "$ref"])
def test_a_schema_that_refers_to_itself_twice_is_bounded_in_every_draft(reference: str) -> None:
    again = {reference: "#"}
    schema = of(
        "2019-09",
        {
            "anyOf": [
                {"type": "null"},
                {"properties": {"c": again}, "required": ["x"]},
                {"properties": {"c": again}},
            ]
        },
    )
    deep: Any = 5
    for _ in range(60):
        deep = {"c": deep}
    faults = [str(fault) for fault in SchemaCheck(schema).faults(deep)]
    assert faults
    assert faults[0].startswith("too much to check")


def test_an_anchor_is_followed_when_costs_are_reckoned() -> None:
    schema = {
        "$defs": {
            "node": {
                "$anchor": "node",
                "anyOf": [{"properties": {"c": {"$ref": "#node"}}} for _ in range(2)],
            }
        },
        "$ref": "#node",
    }
    deep: Any = 5
    for _ in range(60):
        deep = {"c": deep}
    assert SchemaCheck(schema).slow


class _Asked(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012  the same list for all requests

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Asked.asked.clear()
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    thread.join()
    serving.server_close()


@pytest.mark.parametrize("draft", ALL)
def test_nothing_is_fetched_in_any_draft(draft: str, server: str) -> None:
    for schema in (
        {"$ref": f"{server}/a.json"},
        {"properties": {"default": {"$ref": f"{server}/b.json"}}},
        {"$id": f"{server}/", "id": f"{server}/", "items": {"$ref": "c.json"}},
        {"properties": {"a": {"$schema": f"{server}/meta"}}},
    ):
        assert schema_faults(of(draft, schema))
    assert schema_faults({"$schema": f"{server}/meta"})
    assert _Asked.asked == []


@pytest.mark.parametrize("name", ["int32", "int64", "double", "url", "dat"])
def test_a_format_that_no_draft_knows_is_named_in_a_warning_and_checks_nothing(name: str) -> None:
    schema = {"properties": {"a": {"format": name}}}
    assert schema_faults(schema) == []
    assert SchemaCheck(schema).fits({"a": "anything"})
    (hint,) = schema_hints(schema)
    assert hint.path == ("properties", "a", "format")
    assert f'"{name}"' in hint.message


@pytest.mark.parametrize(
    ("name", "meant"), [("url", "uri"), ("int32", "type: integer"), ("dat", "did you mean date?")]
)
def test_the_warning_says_what_was_probably_meant(name: str, meant: str) -> None:
    (hint,) = schema_hints({"format": name})
    assert meant in hint.message


def test_a_known_format_gets_no_warning() -> None:
    assert schema_hints({"format": "date", "properties": {"format": {"type": "string"}}}) == []


def test_nullable_is_read_as_the_type_or_null() -> None:
    schema = {"properties": {"a": {"type": "string", "nullable": True}}}
    check = SchemaCheck(understood(schema))
    assert check.fits({"a": None})
    assert check.fits({"a": "x"})
    assert not check.fits({"a": 5})
    (hint,) = schema_hints(schema)
    assert hint.path == ("properties", "a", "nullable")
    assert 'type: [string, "null"]' in hint.message


def test_an_enum_without_null_is_said_beside_nullable() -> None:
    (hint,) = schema_hints({"type": "string", "enum": ["a"], "nullable": True})
    assert "add it there" in hint.message


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"nullable": {"type": "string"}}},
        {"type": "string", "nullable": False},
        {"nullable": True},
        {"enum": [{"type": "string", "nullable": True}]},
    ],
)
def test_what_is_no_nullable_type_is_left_as_it_is(schema: dict[str, Any]) -> None:
    assert understood(schema) == schema
    assert schema_hints(schema) == []


def test_servers_are_sent_the_newest_draft() -> None:
    schema = of(
        "draft-04",
        {
            "definitions": {"a": {"minimum": 0, "exclusiveMinimum": True}},
            "properties": {
                "definitions": {"$ref": "#/definitions/a", "title": "beside it"},
                "pair": {"items": [{"type": "string"}], "additionalItems": False},
            },
        },
    )
    assert modern(schema) == {
        "$defs": {"a": {"exclusiveMinimum": 0}},
        "properties": {
            "definitions": {"$ref": "#/$defs/a"},
            "pair": {"prefixItems": [{"type": "string"}], "items": False},
        },
    }


def test_a_schema_without_a_draft_is_sent_as_it_is() -> None:
    schema = {"definitions": {"a": {}}, "$ref": "#/definitions/a"}
    assert modern(schema) is schema
