"""BANKING77 as the user brings it: reading, the feature, and the counting. All rows are made up."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.public.__main__ import main, print_trust
from examples.public.banking77 import (
    Question,
    Trust,
    feature_text,
    input_lines,
    labelled_lines,
    read_questions,
    trust,
)
from tierline.base.errors import UsageError
from tierline.features.parse import parse_feature

QUESTIONS = [
    Question("Where is my card?", "card_arrival"),
    Question('A "strange" fee, why?', "fee"),
    Question("Is the café open?", "card_arrival"),
]


def test_the_files_of_the_user_are_read_with_their_quotes(tmp_path: Path) -> None:
    rows = 'text,category\nWhere is my card?,card_arrival\n"A ""strange"" fee, why?",fee\n'
    (tmp_path / "train.csv").write_text(rows)
    assert read_questions(tmp_path / "train.csv") == QUESTIONS[:2]


def test_a_missing_file_says_where_it_is_to_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["banking77", str(tmp_path)]) == 1
    assert "task-specific-datasets" in capsys.readouterr().err


def test_a_file_with_other_columns_says_which_are_needed(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("question,label\na,b\n")
    with pytest.raises(UsageError, match="needs text and category"):
        read_questions(tmp_path / "train.csv")


def test_the_feature_has_the_labels_of_the_training_rows() -> None:
    feature = parse_feature(feature_text(QUESTIONS))
    assert feature.output_schema["enum"] == ["card_arrival", "fee"]


def test_what_is_asked_holds_no_answer_and_what_is_learned_from_does() -> None:
    assert "card_arrival" not in input_lines(QUESTIONS)
    learned = [json.loads(line) for line in labelled_lines(QUESTIONS).splitlines()]
    assert [row["expected"] for row in learned] == ["card_arrival", "fee", "card_arrival"]


def line(number: int, output: str | None, cost: str = "0") -> dict[str, Any]:
    status = "failed" if output is None else "completed"
    return {"id": f"q-{number:05}", "status": status, "output": output, "cost": cost}


def test_served_right_served_wrong_and_left_are_told_apart() -> None:
    out = [line(1, "card_arrival", "0.5"), line(0, "card_arrival", "0.25"), line(2, None)]
    assert trust(QUESTIONS, out) == Trust(1, 1, 1, Decimal("0.75"))


def test_the_last_line_says_whether_the_promise_held(capsys: pytest.CaptureFixture[str]) -> None:
    print_trust(Trust(97, 3, 20, Decimal(0)), 0.03)
    assert "Of 100 served (83.3%), 3 are wrong (3.00%). It held." in capsys.readouterr().out
    print_trust(Trust(96, 4, 20, Decimal(0)), 0.03)
    assert "It did NOT hold." in capsys.readouterr().out
    print_trust(Trust(0, 0, 20, Decimal(0)), 0.03)
    assert "nothing was served" in capsys.readouterr().out
