"""An answer that one of the operator's own checks refuses goes to the next tier."""

import json

import pytest

from tests.support.scenes.bench import Bench, by_model
from tierline.checks import NotChecked

CUSTOM = "checks:\n  - custom: stock"


def only_large(name: str, input: object, output: object) -> str | None:
    assert (name, input) == ("stock", {"text": "it costs 12.50"})
    return None if output == {"amount": 2} else "no such article"


def never(name: str, input: object, output: object) -> str | None:
    raise NotChecked("the check stock gave no result within 5 s")


@pytest.mark.parametrize(
    ("made", "reason"),
    [(only_large, "rule: no such article"), (never, "unchecked: the check stock gave no result")],
)
def test_it_escalates_with_the_checks_own_words(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, made: object, reason: str
) -> None:
    monkeypatch.setattr("tierline.services.calls.calls.custom_check", made)
    bench.server.answer = by_model(small=json.dumps({"amount": 1}), large=json.dumps({"amount": 2}))
    version, _ = bench.apply(more=CUSTOM)
    job = bench.submit(version)
    bench.run(job)
    waiting = bench.job(job)
    assert (waiting["status"], waiting["tier"]) == ("queued", "frontier")
    assert waiting["escalation_reason"].startswith(reason)


def test_a_check_that_is_not_set_is_the_features_fault(bench: Bench) -> None:
    bench.server.answer = by_model(small=json.dumps({"amount": 1}))
    version, _ = bench.apply(more=CUSTOM)
    job = bench.submit(version)
    bench.run(job)
    job_row = bench.job(job)
    assert (job_row["status"], job_row["error_code"]) == ("failed", "feature_error")
    assert "TIERLINE_CHECKS" in job_row["error_message"]
