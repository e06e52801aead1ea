"""JSON Schema, held against the official suite where it is at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tierline.checks.dialects import DIALECTS
from tierline.checks.schema import (
    SchemaCheck,
    faults_text,
    schema_check,
    schema_faults,
    spoken_path,
)

SUITE = Path(__file__).parents[4] / "shared/data/json-schema-test-suite/tests"
DRAFTS = {"draft2020-12": "2020-12", "draft7": "draft-07"}
REMOTE = "localhost:1234"  # where the suite keeps what is fetched; we never fetch


def suite_files() -> list[Path]:
    return sorted(SUITE.glob("**/*.json")) if SUITE.is_dir() else []


@pytest.mark.skipif(not SUITE.is_dir(), reason=f"no JSON Schema test suite at {SUITE}")
@pytest.mark.parametrize("file", suite_files(), ids=lambda file: str(file.relative_to(SUITE)))
def test_the_official_suite_is_agreed_with(file: Path) -> None:
    formats = file.parent.name == "format"
    draft = DRAFTS[file.relative_to(SUITE).parts[0]]
    dialect = next(one for one in DIALECTS if one.name == draft)
    for group in json.loads(file.read_text()):
        schema: Any = group["schema"]
        if REMOTE in json.dumps(schema):
            continue
        if isinstance(schema, bool):
            schema = {} if schema else {"not": {}}
        try:
            check = SchemaCheck(schema, formats, dialect)
        except ValueError as error:
            if REMOTE in str(error):  # a reference that only becomes remote by its $id
                continue
            raise
        for test in group["tests"]:
            said = f"{group['description']}: {test['description']}"
            assert check.fits(test["data"]) == test["valid"], said


SCHEMA = {
    "type": "object",
    "required": ["id", "day"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
}


def said(value: object) -> list[str]:
    return [str(fault) for fault in schema_check(SCHEMA).faults(value)]


def test_a_value_that_fits_has_no_faults() -> None:
    assert said({"id": "a", "day": "2024-02-29"}) == []


def test_a_fault_names_path_and_rule() -> None:
    assert said({"id": 5, "day": "2023-02-29", "lines": [{}]}) == [
        'day: the value is not a "date"',
        'id: the value is not of type "string"',
        'lines[0]: "sku" is required and missing',
    ]


def test_a_fault_does_not_repeat_the_value() -> None:
    assert "hunter2" not in "".join(said({"id": ["hunter2"], "day": "hunter2"}))


def test_many_faults_are_told_in_a_bounded_text() -> None:
    faults = schema_check({"items": {"type": "string"}}).faults(list(range(1000)))
    assert len(faults) == 20
    assert len(faults_text(faults)) <= 500


def test_a_schema_is_compiled_once() -> None:
    assert schema_check(SCHEMA) is schema_check(json.loads(json.dumps(SCHEMA)))


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "strin"}, "type"),
        ({"properties": {"a": {"minLength": "x"}}}, "properties.a.minLength"),
        ({"properties": {"a": {"$ref": "http://example.com/a"}}}, "properties.a.$ref"),
        ({"$ref": "file:///etc/passwd"}, "$ref"),
        ({"$ref": "other.json"}, "$ref"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "$schema"),
        ({"$schema": "https://example.com/mine"}, "$schema"),
        ({"not": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "not.$schema"),
        ({"$recursiveRef": "other#"}, "$recursiveRef"),
        ({"pattern": "("}, "pattern"),
        ({"$ref": "#/$defs/none"}, ""),
        (5, ""),
    ],
)
def test_what_is_wrong_with_a_schema_is_found_and_placed(schema: object, path: str) -> None:
    assert path in [spoken_path(fault.path) for fault in schema_faults(schema)]


def test_a_schema_that_refers_within_itself_can_be_used() -> None:
    assert schema_faults({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}) == []


def test_a_pattern_that_backtracks_without_end_is_stopped() -> None:
    check = SchemaCheck({"pattern": "^(?=(a+)+$)(a+)+$"})
    assert check.faults("a" * 60 + "!")
