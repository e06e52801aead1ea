"""The JSON of evaluations."""

from datetime import UTC, datetime
from typing import Any

from tierline.views.evidence.evaluations import Evaluation, evaluation_view

ROW: Any = {
    "id": 1,
    "feature": "tickets",
    "dataset": 1,
    "status": "completed",
    "plan": {"numbers": [0], "tiers": [{"tier": "slm"}], "left_out": {}},
    "max_usd": None,
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "ended_at": datetime(2026, 1, 2, tzinfo=UTC),
    "document": {"examples": 1},
    "waits_for": None,
}


def test_the_result_also_has_the_name_of_version_0_2() -> None:
    shown = evaluation_view(ROW, None).model_dump(mode="json")
    assert shown["result"] == shown["found"] == {"examples": 1}


def test_the_document_marks_the_former_name() -> None:
    fields = Evaluation.model_json_schema()["properties"]
    assert fields["found"]["deprecated"] is True
    assert "deprecated" not in fields["result"]
