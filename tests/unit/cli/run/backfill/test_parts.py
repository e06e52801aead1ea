"""Rows cut into parts: the same rows make the same bytes."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tierline.cli.run.backfill import parts
from tierline.cli.run.backfill.parts import Cutter, encoded
from tierline.cli.run.backfill.rows import Row
from tierline.cli.run.backfill.send import FIRST_ROWS, WINDOW_ROWS, room_under


def rows(number: int, text: str = "x") -> Iterator[Row]:
    return (Row(line, None, {"text": text}) for line in range(1, number + 1))


def all_rows(cutter: Cutter, most: int = parts.MAX_PART_ROWS) -> list[int]:
    rows_of_parts = []
    while cutter.more:
        rows_of_parts.append(cutter.next(most).rows)
    return rows_of_parts


def test_a_part_has_as_many_rows_as_are_allowed() -> None:
    assert all_rows(Cutter(rows(7)), 3) == [3, 3, 1]
    assert all_rows(Cutter(rows(0))) == []


def test_a_part_is_bounded_in_bytes_but_for_one_long_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_PART_BYTES", 100)
    assert all_rows(Cutter(rows(3, "x" * 10))) == [2, 1]
    assert all_rows(Cutter(rows(2, "x" * 500))) == [1, 1]


def test_earlier_parts_are_cut_again_by_their_counts_whatever_the_bounds_are_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Cutter(rows(10))
    sent = [first.next(4), first.next(3)]
    monkeypatch.setattr(parts, "MAX_PART_BYTES", 1)
    again = Cutter(rows(10))
    assert [again.repeat(part.rows) for part in sent] == sent
    assert json.loads(again.next(1).body)["line"] == 8


def test_a_row_is_sent_with_what_it_has() -> None:
    assert json.loads(encoded(Row(3, "a", None, {"k": 1}))) == {
        "custom_id": "a",
        "input": None,
        "metadata": {"k": 1},
        "line": 3,
    }
    assert encoded(Row(None, None, {"text": "ä"})) == '{"input":{"text":"ä"}}\n'.encode()


@pytest.mark.parametrize(
    ("cost", "finished", "unfinished", "room"),
    [
        ("0", 0, 0, FIRST_ROWS),  # nothing is known yet
        ("0", 0, FIRST_ROWS, 0),
        ("0", 5, 0, WINDOW_ROWS),  # rows are free
        ("0.10", 10, 0, 60),  # 0.90 left, 0.01 a row taken as 0.015
        ("0.10", 10, 50, 0),  # too few to be worth a request
        ("0.99", 99, 0, 1),  # the last one
        ("0.99", 99, 1, 0),
        ("1.00", 100, 0, 0),  # spent
    ],
)
def test_rows_are_let_out_under_a_cap_by_what_they_cost_so_far(
    cost: str, finished: int, unfinished: int, room: int
) -> None:
    assert room_under(Decimal(1), Decimal(cost), finished, unfinished) == room
