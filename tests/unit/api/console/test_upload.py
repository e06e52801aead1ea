"""A file for a new batch: its columns, the mapping, and the rows that it makes."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from api.console.views import upload
from api.console.views.upload import batch_rows, input_fields, mapping_of, read_rows_of
from api.console.visible import visible
from tierline.base.errors import InvalidInput

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
}


def lines(
    name: str, content: str, schema: Mapping[str, Any] = SCHEMA, form: Mapping[str, str] = {}
) -> list[Any]:
    rows = read_rows_of(name, content.encode())
    mapping = mapping_of(form, rows, input_fields(schema))
    return [json.loads(line) for line in batch_rows(rows, mapping, schema)]


def test_columns_fill_the_fields_of_their_own_names_with_the_schemas_types() -> None:
    content = 'text,count,custom_id\r\n"a, b",3,x-1\r\nc,,\r\n'
    assert lines("x.csv", content) == [
        {"input": {"text": "a, b", "count": 3}, "custom_id": "x-1", "line": 2},
        {"input": {"text": "c"}, "line": 3},
    ]


def test_a_chosen_column_fills_a_field_and_others_are_left_out() -> None:
    form = {"map:text": "body", "map:count": "", "id": "key"}
    assert lines("x.csv", "key;body;count\n7;hello;3\n", form=form) == [
        {"input": {"text": "hello"}, "custom_id": "7", "line": 2}
    ]


def test_a_cell_that_does_not_fit_stays_text_so_that_its_row_is_refused() -> None:
    assert lines("x.csv", "text,count\na,many\n")[0]["input"] == {"text": "a", "count": "many"}


def test_a_multi_line_cell_does_not_shift_the_lines() -> None:
    content = '\ufefftext\n"one\ntwo"\n\nthree\n'
    assert [row["line"] for row in lines("x.csv", content)] == [2, 5]


def test_lines_with_an_input_are_rows_already() -> None:
    content = '{"input": {"text": "a"}, "custom_id": "1"}\n\n{"input": {"text": "b"}}\n'
    assert lines("x.jsonl", content) == [
        {"input": {"text": "a"}, "custom_id": "1", "line": 1},
        {"input": {"text": "b"}, "line": 3},
    ]


def test_fields_of_json_lines_are_columns_and_keep_their_types() -> None:
    content = '{"body": "a", "n": 3}\n{"body": "b"}\n'
    form = {"map:text": "body", "map:count": "n"}
    assert [row["input"] for row in lines("x.jsonl", content, form=form)] == [
        {"text": "a", "count": 3},
        {"text": "b"},
    ]


def test_an_input_that_is_a_text_takes_one_column() -> None:
    assert lines("x.csv", "anything\nhello\n", {"type": "string"}) == [
        {"input": "hello", "line": 2}
    ]


def test_an_input_without_named_fields_takes_every_column() -> None:
    assert lines("x.csv", "a,b\n1,2\n", {"type": "object"}) == [
        {"input": {"a": "1", "b": "2"}, "line": 2}
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", b"text\n", "no rows"),
        ("x.csv", b"text,text\na,b\n", "name each column"),
        ("x.csv", b"text,count\na,1\nb\n", "line 3 has 1 cells where the header has 2"),
        ("x.csv", b"text\n\xff\n", "line 2 is not UTF-8"),
        ("x.csv", b"te\x00xt\na\n", "NUL"),
        ("x.csv", b'text\n"a\n', "line 2"),
        ("x.jsonl", b'{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        ("x.jsonl", b'{"a": 1}\n{"a": NaN}\n', "line 2"),
        ("x.jsonl", b"\n", "no rows"),
        ("x.csv", b",".join(b"c%d" % n for n in range(101)) + b"\n", "more than 100 columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(
    name: str, content: bytes, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_rows_of(name, content)
    assert said in str(refused.value.problems[0].message)


def test_a_column_that_the_file_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidInput):
        lines("x.csv", "text\na\n", form={"map:text": "other"})


@pytest.mark.parametrize("column", [" text", "te\u200bxt", "a  b", "line\r\nline"])
def test_a_column_is_found_by_its_name_as_the_page_shows_it(column: str) -> None:
    rows = read_rows_of("x.csv", f'"{column}",n\nhello,1\n'.encode())
    fields = input_fields({"type": "object", "properties": {"text": {"type": "string"}}})
    form = {"map:text": visible(column), "id": visible(column)}
    mapping = mapping_of(form, rows, fields)
    assert (mapping.fields, mapping.id_column) == ({"text": column}, column)


@pytest.mark.parametrize(
    ("name", "head", "row"), [("x.csv", "text\n", "a\n"), ("x.jsonl", "", '{"text":"a"}\n')]
)
def test_a_file_with_too_many_rows_is_for_the_backfill(
    name: str, head: str, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "MOST_ROWS", 3)
    assert len(read_rows_of(name, (head + row * 3).encode()).cells) == 3
    with pytest.raises(InvalidInput) as refused:
        read_rows_of(name, (head + row * 4).encode())
    assert "tierline backfill" in refused.value.problems[0].message
