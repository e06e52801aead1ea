"""`features test`, `features try` and `apply --require-cases`: a real API, a worker, and a scripted
model at the network's far end."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Tierline
from tests.support.fake_servers.model_server import ModelServer, Reply

FILE = """\
feature: amount
instructions: Give the amount.
input: {type: object, required: [text], properties: {text: {type: string}}}
output:
  type: object
  required: [amount]
  properties: {amount: {type: number}}
checks:
  - grounded: [amount]
cases:
  - name: plain
    input: {text: It costs 12.50 EUR}
    expected: {amount: 12.5}
  - input: {text: It costs 7 EUR}
    rule: output.amount > 5.0
  - name: no amount
    input: {text: Good morning}
    served: false
tiers:
  - name: slm
    models: [openai:small]
    prices:
      openai:small: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.4}
    steps:
      - name: words
        instructions: Copy the words that say the amount.
        output: {type: string}
  - name: frontier
    models: [openai:large]
"""


def right(body: Any) -> str:
    """What a model that can do it answers."""
    last_message = body["messages"][-1]["content"]
    if "Copy the words" in body["messages"][0]["content"]:
        return "12.50 EUR"
    return json.dumps({"amount": 12.5 if "12.50 EUR\n" in last_message else 7})


@pytest.fixture
def file(tmp_path: Path, models: ModelServer) -> Path:
    models.answer = right
    path = tmp_path / "amount.yaml"
    path.write_text(FILE)
    return path


def test_cases_that_come_out_right_end_with_0_and_apply_nothing(
    tierline: Tierline, file: Path
) -> None:
    ran = tierline("features", "test", file)
    assert ran.code == 0, ran.out + ran.err
    assert "3 cases: 0 failed, 3 passed" in ran.out
    assert "nothing was served" in ran.out
    assert tierline("features", "show", "amount").code == 1


def test_a_case_that_comes_out_wrong_ends_with_1_and_is_told_with_its_line(
    tierline: Tierline, file: Path
) -> None:
    file.write_text(FILE.replace("expected: {amount: 12.5}", "expected: {amount: 13}"))
    ran = tierline("features", "test", file)
    assert ran.code == 1
    line = 1 + FILE[: FILE.index("- name: plain")].count("\n")
    assert f"{line}: plain" in ran.out
    assert '{"amount": 12.5} is not {"amount": 13}' in ran.out
    assert "3 cases: 1 failed, 2 passed" in ran.out


def test_cases_in_json_have_their_jobs_and_costs(tierline: Tierline, file: Path) -> None:
    (file_result,) = json.loads(tierline("features", "test", file, "--json").out)["data"]
    assert (file_result["feature"], file_result["passed"], file_result["failed"]) == (
        "amount",
        3,
        0,
    )
    first = file_result["cases"][0]
    assert (first["name"], first["passed"], first["fault"]) == ("plain", True, None)
    assert first["output"] == {"amount": 12.5}
    assert first["cost_usd"] == "0.000028"  # a step and the answer: 100 tokens in, 10 out each


def test_one_tier_may_be_tested_alone(tierline: Tierline, file: Path, models: ModelServer) -> None:
    models.answer = lambda body: right(body) if body["model"] == "large" else '{"amount": 1}'
    answer = json.loads(tierline("features", "test", file, "--tier", "frontier", "--json").out)
    assert {case["tier"] for case in answer["data"][0]["cases"]} == {"frontier"}
    assert answer["data"][0]["failed"] == 0
    assert tierline("features", "test", file, "--tier", "slm").code == 1
    wrong = tierline("features", "test", file, "--tier", "none")
    assert (wrong.code, wrong.err.strip().endswith("its tiers are slm, frontier")) == (2, True)


def test_a_file_without_cases_or_with_a_mistake_is_not_run(tierline: Tierline, file: Path) -> None:
    bare = FILE[: FILE.index("cases:")] + FILE[FILE.index("tiers:") :]
    file.write_text(bare)
    ran = tierline("features", "test", file)
    assert ran.code == 2
    assert "has no cases" in ran.err
    file.write_text(FILE.replace("served: false", "served: maybe"))
    ran = tierline("features", "test", file)
    assert ran.code == 2
    assert f"amount.yaml:{1 + FILE[: FILE.index('served: false')].count(chr(10))}" in ran.err


def test_what_does_not_end_in_time_is_cancelled_and_failed(
    tierline: Tierline, file: Path, models: ModelServer
) -> None:
    models.answer = lambda body: Reply(right(body), delay_s=1.5)
    ran = tierline("features", "test", file, "--timeout", "1", "--json")
    assert ran.code == 1
    cases = json.loads(ran.out)["data"][0]["cases"]
    assert {case["fault"] for case in cases} == {"it did not end within 1 s"}
    assert {case["status"] for case in cases[1:]} == {"cancelled"}


def test_a_version_whose_cases_fail_is_not_applied(tierline: Tierline, file: Path) -> None:
    good = FILE.replace("feature: amount", "feature: gated")
    file.write_text(good.replace("expected: {amount: 12.5}", "expected: {amount: 13}"))
    refused = tierline("features", "apply", file, "--require-cases")
    assert refused.code == 1
    assert "nothing was applied: 1 case failed" in refused.err
    assert tierline("features", "show", "gated").code == 1
    file.write_text(good)
    ran = tierline("features", "apply", file, "--require-cases")
    assert ran.code == 0, ran.err
    assert "gated is now version 1" in ran.out


def test_try_shows_prompts_answers_checks_and_cost(tierline: Tierline, file: Path) -> None:
    ran = tierline("features", "try", file, "--input", '{"text": "It costs 12.50 EUR"}')
    assert ran.code == 0, ran.err
    for part in (
        "call 1, step: small-2026",
        "Copy the words that say the amount.",
        "The step words found:",
        '{"amount": 12.5}',
        "grounded: amount: passed",
        "$0.000014",
    ):
        assert part in ran.out, part


def test_try_shows_every_tier_that_failed_a_check(tierline: Tierline, file: Path) -> None:
    ran = tierline("features", "try", file, "--input", '{"text": "Good morning"}')
    assert ran.code == 1
    assert "attempt 1 on slm: ungrounded" in ran.out
    assert "attempt 2 on frontier: ungrounded" in ran.out
    assert "grounded: amount: amount: not found in the input" in ran.out
    assert "An earlier answer to this input was not accepted" in ran.out


def test_try_in_json_has_the_trace(tierline: Tierline, file: Path) -> None:
    text = '{"text": "It costs 12.50 EUR"}'
    answer = json.loads(tierline("features", "try", file, "--input", text, "--json").out)
    (attempt,) = answer["attempts"]
    assert [entry["purpose"] for entry in attempt["trace"]] == ["step", "answer"]
    assert attempt["trace"][0]["text"] == "12.50 EUR"


def test_an_input_that_no_job_could_have_is_refused(tierline: Tierline, file: Path) -> None:
    ran = tierline("features", "try", file, "--input", '{"txt": "x"}')
    assert ran.code == 2
    assert "/input" in ran.err


def test_jobs_of_drafts_are_listed_only_if_asked_for(tierline: Tierline, file: Path) -> None:
    assert tierline("features", "test", file).code == 0
    applied = json.loads(tierline("jobs", "list", "--json").out)["data"]
    every = json.loads(tierline("jobs", "list", "--drafts", "--json").out)["data"]
    assert all(one["feature_version"] > 0 for one in applied)
    assert any(one["feature_version"] < 0 for one in every)
