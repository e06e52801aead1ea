"""What a file's checks say of one answer."""

import json
from pathlib import Path

import pytest

from tierline.cli import main

FILE = """
feature: invoice
instructions: Read it.
input: {type: object, required: [text], properties: {text: {type: string}}}
output:
  type: object
  required: [total, lines]
  properties:
    total: {type: number}
    lines: {type: array, maxItems: 50, items: {type: number}}
checks:
  - grounded: [total]
  - rule: "round(abs(sum(output.lines) - output.total), 2) <= 0.01"
    says: the lines do not add up to the total
tiers: [{name: slm, models: ["local:smollm2-135m"]}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "invoice.yaml"
    path.write_text(FILE)
    return path


def checked(file: Path, output: str, *more: str) -> int:
    given = ["--input", '{"text": "total 12.50"}', "--output", output]
    return main.run(["features", "check", str(file), *given, *more])


def test_each_check_is_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(file, '{"total": 12.5, "lines": [10, 2.49]}') == 0
    assert capsys.readouterr().out.splitlines() == [
        "is JSON: passed",
        "fits the schema: passed",
        "grounded: total: passed",
        "round(abs(sum(output.lines) - output.total), 2) <= 0.01: passed",
    ]


def test_what_fails_is_told_and_the_exit_code_is_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(file, '{"total": 13.5, "lines": [10]}', "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [one["passed"] for one in answer["checks"]] == [True, True, False, False]
    assert answer["checks"][3]["reason"] == "the lines do not add up to the total"
    assert not answer["passed"]


def test_an_answer_that_is_no_json_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(file, "I cannot.") == 1
    assert capsys.readouterr().out.startswith("is JSON: ")


def test_an_input_that_does_not_fit_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.run(["features", "check", str(file), "--input", "{}", "--output", "{}"])
    assert code == 2
    assert "--input does not fit the feature" in capsys.readouterr().err
