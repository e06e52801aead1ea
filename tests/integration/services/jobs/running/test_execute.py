"""Attempts from claim to verdict, on a real Postgres, with a real HTTP server as the model."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.support.database.rows import add_feature, of_a_later_release
from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import PRICED, RIGHT, Bench, by_model
from tierline.base.ids import time_of
from tierline.features.parse import parse_feature
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.running.recover import give_back
from tierline.storage.jobs import claims


def test_a_right_answer_is_served_from_the_first_tier(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    row = bench.job(job)
    assert (row["status"], row["tier"], row["model"]) == ("completed", "slm", "small-2026")
    assert bench.one("SELECT output FROM answers WHERE job_id = %s", job) == {"amount": 12.5}
    assert bench.wake_ups.ended[-1] == job


def test_the_token_of_a_claim_has_its_time_by_which_late_costs_are_found(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    token = bench.one("SELECT claim_token FROM attempts WHERE job_id = %s", job)
    assert token.version == 7
    assert abs(time_of(token) - time_of(job)) < timedelta(minutes=10)


def test_an_answer_that_fails_its_schema_escalates_and_the_next_tier_is_told_why(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small='{"amount": "a lot"}', large=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    waiting = bench.job(job)
    assert (waiting["status"], waiting["tier"], waiting["queue"]) == (
        "queued",
        "frontier",
        "deeper-analysis",
    )
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.verdicts(job) == ["schema", "passed"]
    request = json.dumps(bench.server.calls[-1].body)
    assert "a lot" in request
    assert "amount" in request


def test_the_last_tiers_failed_answer_is_kept_with_its_attempt_and_never_served(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small="no idea", large="{}")
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 2)
    row = bench.job(job)
    assert (row["status"], row["error_code"], row["answer_attempt"]) == (
        "failed",
        "checks_failed",
        None,
    )
    assert bench.verdicts(job) == ["malformed", "schema"]
    texts = bench.all("SELECT text FROM answers WHERE job_id = %s ORDER BY attempt", job)
    assert texts == [("no idea",), ("{}",)]


def test_a_feature_may_ask_for_the_failed_answer_marked_as_unverified(bench: Bench) -> None:
    bench.server.answer = by_model(small="{}", large="{}")
    version, _ = bench.apply(more="on_blocked: return_unverified")
    job = bench.submit(version)
    bench.run(job, 2)
    row = bench.job(job)
    assert (row["status"], row["unverified"], row["answer_attempt"]) == ("completed", True, 2)


def test_one_corrective_reask_comes_before_escalating(bench: Bench) -> None:
    answers = iter(["{}", RIGHT])
    bench.server.answer = lambda _: next(answers)
    version, _ = bench.apply(slm="    reask: true")
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["tier"] == "slm"
    assert bench.verdicts(job) == ["passed"]
    assert [purpose for purpose, _, _ in bench.calls(job)] == ["answer", "reask"]


def test_samples_that_agree_are_served_and_samples_that_do_not_escalate(bench: Bench) -> None:
    confidence = "    confidence: {signal: agreement, samples: 3, threshold: 0.6}"
    version, _ = bench.apply(slm=confidence)
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    sure = bench.submit(version)
    bench.run(sure)
    assert bench.job(sure)["status"] == "completed"
    confidence = bench.one("SELECT confidence FROM attempts WHERE job_id = %s", sure)
    assert confidence == pytest.approx(2 / 3)  # the third could change nothing: it is not asked
    assert [purpose for purpose, _, _ in bench.calls(sure)] == ["answer", "sample"]
    answers = iter(['{"amount": 1}', '{"amount": 2}', '{"amount": 3}'])
    bench.server.answer = lambda _: next(answers)
    unsure = bench.submit(version)
    bench.run(unsure)
    assert bench.verdicts(unsure) == ["low_confidence"]
    assert bench.job(unsure)["tier"] == "frontier"
    assert [purpose for purpose, _, _ in bench.calls(unsure)] == ["answer", "sample", "sample"]


def test_a_rule_that_errors_fails_the_job_as_the_features_fault(bench: Bench) -> None:
    bench.server.answer = by_model(small='{"amount": 1, "extra": 0}')
    version, _ = bench.apply(more='checks:\n  - rule: "input.missing > 1"')
    job = bench.submit(version)
    bench.run(job)
    row = bench.job(job)
    assert (row["status"], row["error_code"]) == ("failed", "feature_error")
    assert bench.verdicts(job) == ["feature_error"]


def test_a_model_that_is_cut_off_escalates_as_truncated(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(text='{"amount": 1', finish_reason="length"))
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    assert bench.verdicts(job) == ["truncated"]
    assert bench.job(job)["tier"] == "frontier"


def test_a_jobs_cost_is_the_sum_of_its_calls_and_a_price_nobody_knows_is_null(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small="{}", large=RIGHT)
    version, _ = bench.apply(slm=PRICED)
    job = bench.submit(version)
    bench.run(job, 2)
    costs = [cost for _, _, cost in bench.calls(job)]
    # 100 tokens in at 0.1, 10 out at 0.4 USD per million; the large model has no known price.
    assert costs == [Decimal("0.000014"), None]


def test_an_unreported_usage_leaves_the_cost_unknown(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(text=RIGHT, usage=None))
    version, _ = bench.apply(slm=PRICED)
    job = bench.submit(version)
    bench.run(job)
    assert bench.calls(job) == [("answer", "openai:small", None)]


def test_labels_are_scored_against_a_content_free_input(bench: Bench) -> None:
    text = """
feature: tone
description: The tone of a text.
instructions: Say the tone.
input: {type: object, required: [text], properties: {text: {type: string}}}
output:
  type: object
  required: [tone]
  properties: {tone: {type: string, enum: [angry, calm, joyful]}}
confidence: {signal: label_logprob, threshold: 0.5}
tiers:
  - {name: slm, models: [openai:small], max_tokens: 5, timeout_s: 5}
  - {name: frontier, models: [openai:large], max_tokens: 20, timeout_s: 5}
"""
    with bench.pool.connection() as connection:
        version = add_feature(connection, parse_feature(text))

    def scored(body: Any) -> Reply:
        # The model leans to "angry" whatever it reads; the calibration takes that away.
        about = "delighted" in json.dumps(body["messages"])
        scores = {"angry": -0.5, "calm": -3.0, "joyful": -0.9 if about else -4.0}
        top = [{"token": f" {label}", "logprob": score} for label, score in scores.items()]
        return Reply(text=" angry", logprobs=[{"top_logprobs": top}])

    bench.server.answer = scored
    job = bench.submit(version, text="I am delighted")
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.one("SELECT output FROM answers WHERE job_id = %s", job) == {"tone": "joyful"}
    assert [purpose for purpose, _, _ in bench.calls(job)] == ["label_score", "label_score"]
    again = bench.submit(version, text="I am delighted too")
    bench.run(again)
    assert len(bench.calls(again)) == 1  # the content-free input is scored once a process


def test_a_job_of_a_later_releases_feature_is_given_back_as_if_it_had_not_been_claimed(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    with bench.pool.connection() as connection:
        of_a_later_release(connection, version)
    job = bench.submit(version)
    bench.server.calls.clear()
    bench.run(job)
    row = bench.job(job)
    assert (row["status"], row["attempts"], row["losses"]) == ("queued", 0, 0)
    assert (bench.verdicts(job), bench.calls(job), bench.server.calls) == ([], [], [])
    waits = "SELECT run_after > clock_timestamp() + '5 s', started_at FROM jobs WHERE id = %s"
    assert bench.one(waits, job) == (True, None)
    bench.run(job)  # it is not due
    assert bench.job(job)["attempts"] == 0


def test_a_worker_that_can_read_the_feature_answers_a_job_that_was_given_back(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    with bench.pool.connection() as connection:
        of_a_later_release(connection, version)
    job = bench.submit(version)
    bench.run(job)
    bench.all(
        "UPDATE feature_versions SET document = document - 'guard' WHERE id = %s RETURNING id",
        version,
    )
    bench.all("UPDATE jobs SET run_after = created_at WHERE id = %s RETURNING id", job)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.verdicts(job) == ["passed"]


def test_a_job_whose_version_names_no_first_call_is_not_claimed(bench: Bench) -> None:
    version, _ = bench.apply()
    bench.all("UPDATE feature_versions SET first_calls = '{}' WHERE id = %s RETURNING id", version)
    job = bench.submit(version)
    bench.run(job)
    row = bench.job(job)
    assert (row["status"], row["attempts"], row["losses"]) == ("queued", 0, 0)


def test_a_job_that_is_cancelled_while_it_is_given_back_is_cancelled(bench: Bench) -> None:
    version, _ = bench.apply()
    job, token = bench.submit(version), uuid4()
    with bench.pool.connection() as connection:
        assert claims.claim(connection, job, token, ["slm"], "test") is not None
        assert cancel(connection, bench.account, job) == "in_progress"
        assert give_back(connection, job, token, 10.0)
        assert not give_back(connection, job, token, 10.0)
    assert bench.job(job)["status"] == "cancelled"
