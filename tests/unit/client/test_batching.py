"""How rows become the parts of a batch."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from tierline_client import batching
from tierline_client.batching import line_of, parts_of
from tierline_client.errors import InvalidInput


class Text(BaseModel):
    text: str


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("a text", {"input": "a text"}),
        ({"text": "é"}, {"input": {"text": "é"}}),
        (Text(text="a"), {"input": {"text": "a"}}),
        ({"input": 1, "custom_id": "c"}, {"input": 1, "custom_id": "c"}),
        ({"input": Text(text="a")}, {"input": {"text": "a"}}),
        ({"input": 1, "other": 2}, {"input": {"input": 1, "other": 2}}),
    ],
)
def test_a_row_is_an_input_or_names_it(row: Any, line: Mapping[str, Any]) -> None:
    assert json.loads(line_of(row)) == line


def test_parts_have_bounds_and_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PART_ROWS", 3)
    monkeypatch.setattr(batching, "PART_BYTES", 60)
    rows = ["a", "b", "c", "d", "e" * 30, "f" * 30, "g"]
    parts = list(parts_of(rows))
    assert [count for _, count in parts] == [3, 2, 2]
    assert max(len(body) for body, _ in parts) <= 60
    inputs = [json.loads(line)["input"] for body, _ in parts for line in body.splitlines()]
    assert inputs == rows
    assert list(parts_of(rows)) == parts


def test_a_row_that_fits_into_no_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PART_BYTES", 60)
    with pytest.raises(InvalidInput, match="row 2 has"):
        list(parts_of(["a", "b" * 100]))


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        line_of(float("nan"))
