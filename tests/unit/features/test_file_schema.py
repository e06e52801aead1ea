"""The JSON Schema of the feature file, for editors."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.support.samples.features import INVOICE, SUMMARY, TRIAGE
from tierline.base.yaml_lines import read_yaml
from tierline.features.file_schema import file_schema

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("**/*.yaml"))


def faults(text: str) -> list[str]:
    validator = jsonschema_rs.validator_for(file_schema())
    document: Any = read_yaml(text, "f").value
    return [error.message for error in validator.iter_errors(document)]


def test_the_published_file_is_what_the_parser_makes() -> None:
    published = (ROOT / "docs" / "feature.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == file_schema(), (
        "tierline features schema > docs/feature.schema.json"
    )


@pytest.mark.parametrize("text", [INVOICE, SUMMARY, TRIAGE], ids=["invoice", "summary", "triage"])
def test_right_files_fit(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_example_features_fit(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if text.startswith("feature:") or "\nfeature:" in text:
        assert faults(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("routing: slm_first", "ruoting: slm_first"),
        ("routing: slm_first", "routing: slm_frist"),
        ("grounded: [invoice_number, total]", "grounded: total"),
        ("  - grounded: [invoice_number, total]", "  - grounded: [total]\n    rule: 'true'"),
        ("models: [local:smollm2-135m]", "models: []"),
        ("feature: invoice-fields", "feature: Invoice Fields"),
        ("timeout_s: 20", "timeout: 20"),
    ],
)
def test_a_mistake_does_not_fit(old: str, new: str) -> None:
    assert old in INVOICE
    assert faults(INVOICE.replace(old, new, 1))
