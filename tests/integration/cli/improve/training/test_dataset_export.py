"""`tierline dataset export`: files to fine-tune on, whole or not at all."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.cli import Tierline
from tests.support.samples.tickets import TICKETS, labelled, written
from tierline.datasets.export import FORMS

TEXT = """feature: shops
instructions: Name the shop.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: object, required: [shop], properties: {shop: {type: string}}}
examples:
  - {input: {text: "Bread from Mill Lane."}, output: {shop: Mill Lane}}
tiers:
  - {name: slm, models: [openai:small], instructions: Only the name.}
  - {name: frontier, models: [openai:large]}
"""


@pytest.fixture(autouse=True)
def built(tierline: Tierline, tmp_path: Path) -> None:
    file = tmp_path / "tickets.yaml"
    file.write_text(TICKETS)
    assert tierline("features", "apply", file).code == 0
    rows = written(tmp_path / "rows.csv", labelled(200))
    assert tierline("dataset", "build", "tickets", "--no-jobs", "--from", rows).code == 0


@pytest.mark.parametrize("form", list(FORMS))
def test_each_form_is_written_with_its_card_and_every_row_is_valid(
    tierline: Tierline, tmp_path: Path, form: str
) -> None:
    out = tmp_path / form
    ran = tierline(
        *("dataset", "export", "tickets", "--format", form, "--out", out),
        *("--licence", "CC-BY-4.0", "--json"),
    )
    assert ran.code == 0, ran.err
    card = json.loads((out / "card.json").read_text())
    assert json.loads(ran.out) == card
    assert (card["format"], card["licence"], card["asked_as"]) == (form, "CC-BY-4.0", "slm")
    assert sum(one["examples"] for one in card["files"].values()) == 800
    assert card["by_source"] == {"file": 800}
    seen: set[str] = set()
    for name, one in card["files"].items():
        held = (out / name).read_bytes()
        assert hashlib.sha256(held).hexdigest() == one["sha256"]
        lines = held.decode().splitlines()
        assert len(lines) == one["examples"]
        assert not seen & set(lines)
        seen |= set(lines)
        for line in lines:
            assert FORMS[form].faults(json.loads(line)) == []
    assert "| train.jsonl |" in (out / "card.md").read_text()
    again = tierline("dataset", "export", "tickets", "--format", form, "--out", out)
    assert (again.code, "exists" in again.err) == (2, True)


def test_too_few_are_refused_unless_forced_and_nothing_is_left_behind(
    tierline: Tierline, tmp_path: Path
) -> None:
    file = tmp_path / "shops.yaml"
    file.write_text(TEXT)
    assert tierline("features", "apply", file).code == 0
    rows = tmp_path / "shops.jsonl"
    with rows.open("w") as sink:
        for number in range(60):
            row = {"input": f"Nails from shop {number * 7919}.", "expected": {"shop": f"S{number}"}}
            sink.write(json.dumps(row) + "\n")
    assert tierline("dataset", "build", "shops", "--no-jobs", "--from", rows).code == 0
    out = tmp_path / "out" / "shops"
    ran = tierline("dataset", "export", "shops", "--format", "openai", "--out", out)
    assert ran.code == 1
    assert "fine-tuning needs at least 500" in ran.err
    assert not out.parent.exists() or not list(out.parent.iterdir())
    forced = ("--format", "trl", "--out", out, "--force", "--tier", "frontier")
    assert tierline("dataset", "export", "shops", *forced).code == 0
    example = json.loads((out / "train.jsonl").read_text().splitlines()[0])
    assert "Name the shop." in example["prompt"][0]["content"]
    assert example["prompt"][1]["content"] == "<input>\nBread from Mill Lane.\n</input>"
    assert json.loads(example["completion"][0]["content"])["shop"].startswith("S")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--format", "csv"), 2, "--format is 'csv'"),
        (("--format", "openai", "--tier", "micro"), 2, "has no tier 'micro' that calls a model"),
        (("--format", "openai", "--version", "999"), 1, "no dataset 999"),
        (("--format", "openai", "--redact"), 1, "needs the extra `redaction`"),
    ],
)
def test_what_cannot_be_exported(
    tierline: Tierline, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("dataset", "export", "tickets", *arguments, "--out", tmp_path / "x")
    assert ran.code == code, ran.err
    assert message in ran.err
    assert not (tmp_path / "x").exists()
