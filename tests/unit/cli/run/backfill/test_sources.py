"""Reading CSV, JSONL and folders: every row with its line, and a bad one stops nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tierline.base.errors import UsageError
from tierline.cli.run.backfill import lines
from tierline.cli.run.backfill.encodings import encoding_named, refuse_other_encoding
from tierline.cli.run.backfill.reading import Reading
from tierline.cli.run.backfill.rows import MAX_ROW_BYTES, BadLine, Record, Row
from tierline.cli.run.backfill.sources import fingerprint_of, kind_of, open_source, stamp_of

TEXT: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "n": {"type": "integer"}},
}


def read(
    path: Path,
    content: bytes | None = None,
    schema: dict[str, Any] | None = None,
    id_column: str | None = None,
    **mapping: str,
) -> list[Record]:
    if content is not None:
        path.write_bytes(content)
    source = open_source(path, TEXT if schema is None else schema, mapping, id_column)
    first = list(source.records())
    assert first == list(source.records()), "a source reads the same twice"
    return first


def shown(records: list[Record]) -> list[tuple[int | None, Any]]:
    return [
        (one.line, one.input.get("text") if isinstance(one, Row) else one.message)
        for one in records
    ]


def test_a_csv_row_has_its_id_its_cast_fields_and_the_line_it_begins_in(tmp_path: Path) -> None:
    content = b'id,body,n\na,"one\ntwo",1\n\nb,three,2\n'
    assert read(tmp_path / "x.csv", content, id_column="id", text="body") == [
        Row(2, "a", {"text": "one\ntwo", "n": 1}),
        Row(5, "b", {"text": "three", "n": 2}),
    ]


@pytest.mark.parametrize("separator", [b";", b"\t"])
def test_the_header_tells_the_separator(tmp_path: Path, separator: bytes) -> None:
    content = b"\xef\xbb\xbftext,n\r\nhello,3\r\n".replace(b",", separator)
    assert read(tmp_path / "x.csv", content) == [Row(2, None, {"text": "hello", "n": 3})]


def test_a_csv_row_that_is_not_right_costs_itself_only(tmp_path: Path) -> None:
    content = b"text,n\nok,1\nb\xe4d,2\nok,x\nok\nok,1,2\nnul\x00,1\nok,7\n"
    records = read(tmp_path / "x.csv", content)
    assert shown(records) == [
        (2, "ok"),
        (3, "not UTF-8; if the whole file is in another encoding, give it with --encoding"),
        (4, "n: is not a whole number"),
        (5, "has 1 cells where the header has 2"),
        (6, "has 3 cells where the header has 2"),
        (7, "contains a NUL character, which cannot be stored"),
        (8, "ok"),
    ]


def test_a_quote_that_is_never_closed_does_not_swallow_the_rows_after_it(tmp_path: Path) -> None:
    content = b'text,n\n"open,1\nok,2\nok,3\n'
    records = read(tmp_path / "x.csv", content)
    assert [type(one) for one in records] == [BadLine, Row, Row]
    assert [one.line for one in records] == [2, 3, 4]


def test_a_record_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    content = b"text,n\n" + b"x" * (MAX_ROW_BYTES + 10) + b",1\nok,2\n"
    records = read(tmp_path / "x.csv", content)
    assert [type(one) for one in records] == [BadLine, Row]
    assert records[1].line == 3


def test_a_jsonl_row_is_the_input_or_holds_it(tmp_path: Path) -> None:
    content = b'{"custom_id":"a","input":{"text":"x"},"metadata":{"k":1}}\n\n{"text":"y"}'
    assert read(tmp_path / "x.jsonl", content) == [
        Row(1, "a", {"text": "x"}, {"k": 1}),
        Row(3, None, {"text": "y"}),
    ]


def test_an_input_with_a_field_called_input_is_told_by_whether_it_fits(tmp_path: Path) -> None:
    schema = {"required": ["input"], "properties": {"input": {"type": "string"}}}
    content = b'{"input":"x"}\n{"input":{"input":"y"},"custom_id":"b"}\n'
    assert read(tmp_path / "x.jsonl", content, schema) == [
        Row(1, None, {"input": "x"}),
        Row(2, "b", {"input": "y"}),
    ]


def test_a_jsonl_line_that_is_not_right_costs_itself_only(tmp_path: Path) -> None:
    long = b'"' + b"x" * MAX_ROW_BYTES + b'"'
    content = b"\n".join(
        [
            b'{"text": "ok"}',
            b'{"text": ',
            b'{"text": "\xff"}',
            b'{"input": {}, "custom_id": 7}',
            b'{"input": {}, "other": 1}',
            b'{"input": {}, "metadata": []}',
            b'{"text": NaN}',
            long,
            b'{"text": "ok"}',
        ]
    )
    records = read(tmp_path / "x.jsonl", content)
    assert [one.line for one in records] == list(range(1, 10))
    assert [type(one) for one in records] == [Row, *[BadLine] * 7, Row]


def test_a_folder_gives_a_row_a_file_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name, content in {
        "b/1.txt": "one",
        "a.txt": "two",
        ".git/x": "no",
        ".hidden": "no",
    }.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe")
    assert read(tmp_path) == [
        Row(None, "a.txt", {"text": "two"}),
        Row(None, "b/1.txt", {"text": "one"}),
        BadLine(None, "c.txt", "not UTF-8 at byte 1"),
    ]


def test_a_link_out_of_the_folder_is_told_and_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("the secret")
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "own.txt").write_text("own")
    (folder / "a.txt").symlink_to(outside / "secret.txt")
    (folder / "b.txt").symlink_to("below/own.txt")
    (folder / "c").symlink_to(outside)
    (folder / "d").symlink_to("below")
    (folder / "below" / "e.txt").symlink_to("../../outside/secret.txt")
    (folder / "f.txt").symlink_to("nowhere")
    out = "a link that leads out of the folder: not read"
    assert read(folder) == [
        BadLine(None, "a.txt", out),
        Row(None, "b.txt", {"text": "own"}),
        BadLine(None, "below/e.txt", out),
        Row(None, "below/own.txt", {"text": "own"}),
        BadLine(None, "c", out),
    ]
    stamp, fingerprint = stamp_of(folder), fingerprint_of(folder)
    (outside / "secret.txt").write_text("another secret, of another length")
    assert (stamp_of(folder), fingerprint_of(folder)) == (stamp, fingerprint)


def test_a_folder_that_is_named_by_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("own")
    (tmp_path / "link").symlink_to("folder")
    assert read(tmp_path / "link") == [Row(None, "a.txt", {"text": "own"})]


def test_a_folders_text_fills_the_field_that_map_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    schema = {"properties": {"letter": {"type": "string"}, "name": {"type": "string"}}}
    assert read(tmp_path, None, schema, letter="text", name="path") == [
        Row(None, "a.txt", {"letter": "x", "name": "a.txt"})
    ]
    with pytest.raises(UsageError, match="--map FIELD=text"):
        read(tmp_path, None, schema)


def test_what_is_no_source_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\x00\x01")
    (tmp_path / "x.csv").write_bytes(b"")
    for name in ("missing.csv", "x.bin"):
        with pytest.raises(UsageError):
            kind_of(tmp_path / name)
    with pytest.raises(UsageError, match="empty"):
        read(tmp_path / "x.csv")


def test_options_of_another_kind_of_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--id-column"):
        read(tmp_path / "x.jsonl", b"{}", id_column="id")
    with pytest.raises(UsageError, match="--map"):
        read(tmp_path / "x.jsonl", b"{}", text="body")


def test_a_print_stays_when_a_file_is_touched_and_changes_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a")
    before = fingerprint_of(path)
    path.write_text("b")
    assert fingerprint_of(path).sha256 != before.sha256
    path.write_text("a")
    assert fingerprint_of(path).sha256 == before.sha256


def test_a_folders_stamp_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = stamp_of(tmp_path)
    (tmp_path / "b").write_text("")
    assert stamp_of(tmp_path) != before


def test_a_limit_ends_the_reading_and_tells_whether_it_was_all(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "x"}) + "\n" + json.dumps({"text": "y"}) + "\n")
    source = open_source(path, TEXT, {}, None)
    for limit, rows, whole in ((1, 1, False), (2, 2, True), (3, 2, True), (None, 2, True)):
        reading = Reading(source, limit)
        assert (len(list(reading)), reading.whole) == (rows, whole)


def test_a_row_with_an_id_that_is_already_used_is_invalid_and_the_first_is_sent(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.jsonl"
    row = json.dumps({"custom_id": "a", "input": {"text": "x"}}) + "\n"
    path.write_text(row + row)
    reported: list[Any] = []
    reading = Reading(open_source(path, TEXT, {}, None), None)
    assert [one.line for one in reading.rows(lambda *bad: reported.append(bad))] == [1]
    assert reported == [(2, "a", "its id is already used in line 1: not sent")]


def test_a_run_that_began_with_release_0_2_goes_on_as_it_began(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    row = json.dumps({"custom_id": "a", "input": {"text": "x"}}) + "\n"
    path.write_text(row + row)
    source = open_source(path, TEXT, {}, None, repeats=True)
    assert [type(one) for one in source.records()] == [Row, Row]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clean.xlsx", "soffice --headless --convert-to"),
        ("clean.ods", "soffice --headless --convert-to"),
        ("clean.parquet", "duckdb"),
        ("clean.json", "jq -c"),
        ("clean.csv.gz", "gunzip -k"),
    ],
)
def test_a_format_that_is_not_read_is_told_the_command_that_converts_it(
    tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"[PK")
    with pytest.raises(UsageError, match=words) as refused:
        kind_of(path)
    assert ".csv, .jsonl and folders" in refused.value.message
    assert str(path) in refused.value.message


LATIN_1 = "text,n\nok,1\nna\xefve,1\ncaf\xe9,2\n\xe4rger,3\n"


def test_a_file_in_another_encoding_is_told_once_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(LATIN_1.encode("latin-1"))
    with pytest.raises(UsageError) as refused:
        refuse_other_encoding(path)
    assert "not UTF-8 from line 3 on; it looks like latin-1" in refused.value.message
    assert "--encoding latin-1" in refused.value.message
    path.write_bytes(("text\n" + "\u201cyes\u201d\n" * 3).encode("cp1252"))
    with pytest.raises(UsageError, match="--encoding cp1252"):
        refuse_other_encoding(path)
    path.write_bytes("text\nyes\n".encode("utf-16"))
    with pytest.raises(UsageError, match="iconv -f utf-16"):
        refuse_other_encoding(path)


@pytest.mark.parametrize(
    "content",
    [
        LATIN_1.encode(),
        b"text\nplain\n" * 9,
        b"text\n\xff\n\xff\n",  # two lines: each is an invalid row of its own
        b"text\n\xff\n\xff\n\xff\n" + "\xe4\n".encode(),  # the file is UTF-8
    ],
)
def test_a_file_in_utf_8_is_read_even_with_some_lines_that_are_not(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    refuse_other_encoding(path)


def test_a_file_is_read_in_the_encoding_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(LATIN_1.encode("latin-1"))
    codec = encoding_named("Latin-1")
    records = open_source(path, TEXT, {}, None, codec).records()
    assert [one.input["text"] for one in records if isinstance(one, Row)] == [
        *("ok", "na\xefve", "caf\xe9", "\xe4rger"),
    ]
    rows = tmp_path / "x.jsonl"
    rows.write_bytes('{"text": "caf\xe9"}\n'.encode("cp1252"))
    assert list(open_source(rows, TEXT, {}, None, "cp1252").records()) == [
        Row(1, None, {"text": "caf\xe9"})
    ]


@pytest.mark.parametrize(("name", "words"), [("klingon", "not known"), ("utf-16", "iconv")])
def test_an_encoding_that_cannot_be_read_by_lines_is_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        encoding_named(name)


def test_a_line_is_never_held_longer_than_a_row_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_ROW_BYTES", 4)
    path = tmp_path / "x"
    path.write_bytes(b"ab\n123456789\ncd\n")
    with lines.Lines(path) as open_lines:
        assert [open_lines.read() for _ in range(4)] == [b"ab\n", b"12345", b"cd\n", None]
        assert open_lines.number == 3
