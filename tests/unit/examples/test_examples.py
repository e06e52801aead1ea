"""The demo's features and inputs: what examples/README.md promises about them."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[3] / "examples"
FEATURES = ["invoice-fields", "ticket-summary", "ticket-triage"]
KINDS = {
    "clean",
    "noisy",
    "two invoices in one text",
    "foreign number format",
    "missing field",
    "injected instruction",
    "off topic",
}


def rows(folder: str) -> list[dict[str, Any]]:
    files = sorted((EXAMPLES / folder).glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def feature_document(name: str) -> dict[str, Any]:
    text = (EXAMPLES / "features" / f"{name}.yaml").read_text("utf-8")
    document: dict[str, Any] = YAML(typ="safe").load(text)
    return document


def plain(text: str) -> str:
    return " ".join(text.casefold().split())


def test_there_are_at_least_sixty_inputs_and_every_kind_is_among_them() -> None:
    inputs = rows("inputs")
    assert len(inputs) == 80
    assert {row["kind"] for row in inputs} == KINDS
    assert Counter(row["feature"] for row in inputs) == {
        "invoice-fields": 36,
        "ticket-triage": 30,
        "ticket-summary": 14,
    }


@pytest.mark.parametrize("folder", ["inputs", "dev"])
def test_every_row_has_the_same_shape_and_an_id_of_its_own(folder: str) -> None:
    found = rows(folder)
    for row in found:
        assert set(row) == {"custom_id", "feature", "kind", "input", "expected"}
        assert row["kind"] in KINDS
        assert row["feature"] in FEATURES
    assert max(Counter(row["custom_id"] for row in found).values()) == 1


@pytest.mark.parametrize("folder", ["inputs", "dev"])
@pytest.mark.parametrize("name", FEATURES)
def test_inputs_and_known_answers_fit_the_schemas_of_their_feature(folder: str, name: str) -> None:
    document = feature_document(name)
    takes = jsonschema_rs.validator_for(document["input"])
    gives = jsonschema_rs.validator_for(document["output"])
    for row in rows(folder):
        if row["feature"] != name:
            continue
        assert takes.is_valid(row["input"]), row["custom_id"]
        if row["expected"] is not None and name != "ticket-summary":
            assert gives.is_valid(row["expected"]), row["custom_id"]


def test_no_text_stands_twice_among_inputs_development_set_examples_and_csv() -> None:
    texts = [plain(row["input"]["text"]) for row in rows("inputs") + rows("dev")]
    for name in FEATURES:
        texts += [plain(example["input"]["text"]) for example in feature_document(name)["examples"]]
    with (EXAMPLES / "csv" / "orders.csv").open(newline="", encoding="utf-8") as file:
        texts += [plain(row["body"]) for row in csv.DictReader(file)]
    assert [text for text, times in Counter(texts).items() if times > 1] == []


def test_no_examples_answer_is_the_answer_of_an_input() -> None:
    shown = {
        example["output"]["invoice_number"]
        for example in feature_document("invoice-fields")["examples"]
    }
    assert all(
        row["expected"]["invoice_number"] not in shown
        for row in rows("inputs")
        if row["feature"] == "invoice-fields" and row["expected"]
    )


def test_a_known_invoice_number_stands_in_its_text() -> None:
    for row in rows("inputs") + rows("dev"):
        if row["feature"] == "invoice-fields" and row["expected"]:
            assert row["expected"]["invoice_number"] in row["input"]["text"], row["custom_id"]


def test_two_invoices_and_texts_that_are_none_have_no_right_answer() -> None:
    for row in rows("inputs") + rows("dev"):
        if row["feature"] == "invoice-fields":
            unanswerable = row["kind"] in {"two invoices in one text", "off topic", "missing field"}
            assert (row["expected"] is None) == unanswerable, row["custom_id"]


def test_every_category_is_among_the_tickets_at_least_four_times() -> None:
    expected = feature_document("ticket-triage")["output"]["properties"]["category"]["enum"]
    seen = Counter(
        row["expected"]["category"] for row in rows("inputs") if row["feature"] == "ticket-triage"
    )
    assert set(seen) == set(expected)
    assert min(seen.values()) >= 4


def test_the_csv_holds_twelve_rows_with_an_id_and_a_body() -> None:
    with (EXAMPLES / "csv" / "orders.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        table = list(reader)
    assert reader.fieldnames == ["id", "received", "body"]
    assert len(table) == len({row["id"] for row in table}) == 12
    assert all(row["body"].strip() for row in table)
