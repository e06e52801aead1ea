"""Files to start from: templates, and proposals from a CSV of examples."""

import json
from pathlib import Path

import pytest

from tierline.cli import main
from tierline.cli.features.proposal import proposed
from tierline.cli.features.templates import NAMES, from_template
from tierline.features import Feature
from tierline.features.file_schema import file_schema
from tierline.features.parse import parse_feature, parse_with_warnings

LABELS = """text,label
Where is my parcel?,delivery
I was charged twice,billing
Late parcel,delivery
Wrong invoice,billing
"Hello, you",other
hi,other
"""
FIELDS = """text,output.number,output.total
"Invoice A-77, total 12.50",A-77,12.5
"Invoice B-12, total 8",B-12,8
"Invoice C-3, total 0.75",C-3,0.75
"""


def from_csv(text: str) -> Feature:
    return parse_feature(proposed(text, "x.csv", "mine", "mine.yaml", "s.json"))


@pytest.mark.parametrize("template", NAMES)
def test_a_template_is_right_and_has_cases(template: str) -> None:
    text = from_template(template, "mine", "mine.yaml", "s.json")
    feature, warnings = parse_with_warnings(text)
    assert warnings == []
    assert len(feature.cases) >= 1
    assert feature.name == "mine"


def test_labels_become_an_enum_with_cases_of_each() -> None:
    feature = from_csv(LABELS)
    assert feature.output_schema["properties"]["label"]["enum"] == ["billing", "delivery", "other"]
    assert feature.confidence is not None
    shown = [example.output["label"] for example in feature.examples]
    tried = [case.expected["label"] for case in feature.cases]
    assert set(shown + tried) == {"billing", "delivery", "other"}
    assert not {str(one.input) for one in feature.examples} & {str(c.input) for c in feature.cases}


def test_each_label_is_shown_and_the_file_names_the_next_tier() -> None:
    text = proposed(LABELS, "x.csv", "mine", "mine.yaml", "s.json")
    shown = [example.output["label"] for example in parse_feature(text).examples]
    assert sorted(shown) == ["billing", "delivery", "other"]
    assert "tierline calibrate mine" in text
    uncommented = "\n".join(
        line.replace("  # - name", "  - name").replace("  #   ", "    ")
        for line in text.splitlines()
        if not line.endswith("[local:qwen2.5-coder-1.5b]")
    )
    assert [tier.name for tier in parse_feature(uncommented).tiers] == ["slm", "frontier"]


def test_fields_become_types_and_are_grounded_where_they_stand_in_the_input() -> None:
    feature = from_csv(FIELDS)
    properties = feature.output_schema["properties"]
    assert (properties["number"]["type"], properties["total"]["type"]) == ("string", "number")
    assert feature.checks[0].fields == ("number", "total")
    assert len(feature.cases) == 1


def test_values_that_do_not_stand_in_the_input_are_not_grounded() -> None:
    assert from_csv("text,summary\na b c,long\nd e f,short\ng h,odd\n").checks == ()


@pytest.mark.parametrize(
    "value", ["a: b # c", '"quoted"', "line\nbreak", "é\u2028😀", "- x", "0417"]
)
def test_any_text_is_written_so_that_it_is_read_again(value: str) -> None:
    rows = f"text,answer\n{_cell(value)},{_cell(value)}\nb,c\nd,e\n"
    feature = from_csv(rows)
    assert feature.examples[0].input == {"text": value}
    assert feature.examples[0].output == {"answer": value}


def _cell(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header"),
        ("a\nb\n", "at least two columns"),
        ("a,a\n1,2\n", "a name of its own"),
        ("a,b\n1,2,3\n", "row 2 has 3 columns, not 2"),
        ("output.a,output.b\n1,2\n", "every column is an output"),
    ],
)
def test_a_file_that_cannot_be_read_so_says_why(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert main.run(["features", "init", "mine", "--from", str(path), "--out", "-"]) == 2
    assert message in capsys.readouterr().err


def test_the_commands_write_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.yaml"
    assert main.run(["features", "init", "mine", "--template", "extract", "--out", str(out)]) == 0
    assert parse_feature(out.read_text()).name == "mine"
    assert main.run(["features", "init", "mine", "--template", "nothing", "--out", "-"]) == 2
    assert "classify, extract" in capsys.readouterr().err
    assert main.run(["features", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == file_schema()
