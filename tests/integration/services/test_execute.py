"""Attempts from claim to verdict, on a real Postgres, with a real HTTP server as the model."""

import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.services.conftest import Bench
from tests.support.model_server import Reply
from tests.support.rows import add_feature
from tierline.features.parse import parse_feature
from tierline.ids import new_id
from tierline.services import settle as settling
from tierline.services.batch import Opening, open_batch, take_part
from tierline.services.cancel import cancel
from tierline.storage.batches import close_as_cancelled
from tierline.storage.features import add_draft

RIGHT = '{"amount": 12.5}'
PRICED = """
    prices:
      openai:small: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.4}
"""


def by_model(**answers: Reply | str) -> Any:
    """An answer for each model."""
    return lambda body: answers[body["model"]]


def test_a_right_answer_is_served_from_the_first_tier(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    found = bench.job(job)
    assert (found["status"], found["tier"], found["model"]) == ("completed", "slm", "small-2026")
    assert bench.one("SELECT output FROM answers WHERE job_id = %s", job) == {"amount": 12.5}
    assert bench.wake_ups.ended[-1] == job


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
    told = json.dumps(bench.server.calls[-1].body)
    assert "a lot" in told
    assert "amount" in told


def test_the_last_tiers_failed_answer_is_kept_with_its_attempt_and_never_served(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small="no idea", large="{}")
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 2)
    found = bench.job(job)
    assert (found["status"], found["error_code"], found["answer_attempt"]) == (
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
    found = bench.job(job)
    assert (found["status"], found["unverified"], found["answer_attempt"]) == ("completed", True, 2)


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
    found = bench.job(job)
    assert (found["status"], found["error_code"]) == ("failed", "feature_error")
    assert bench.verdicts(job) == ["feature_error"]


def test_a_rate_limit_is_obeyed_and_burns_no_attempt_of_the_tier(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(status=429, headers={"Retry-After": "30"}))
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    found = bench.job(job)
    assert (found["status"], found["tier"], found["failures"]) == ("queued", "slm", 0)
    wait_s = bench.one(
        "SELECT extract(epoch FROM run_after - clock_timestamp())::float8 FROM jobs WHERE id = %s",
        job,
    )
    assert 25 < wait_s <= 30
    assert bench.verdicts(job) == ["rate_limited"]
    assert bench.calls(job) == [("answer", "openai:small", Decimal(0))]
    bench.run(job)  # a hint too early takes nothing
    assert bench.job(job)["attempts"] == 1


def test_a_provider_that_keeps_failing_is_left_for_the_next_tier(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(status=503), large=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 4)
    assert bench.verdicts(job) == ["provider_error"] * 3 + ["passed"]
    assert bench.job(job)["escalation_reason"].startswith("provider_error: ")


def test_a_call_that_may_have_been_billed_is_made_once_more_and_its_cost_is_unknown(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small=Reply(status=502), large=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 3)
    assert bench.verdicts(job) == ["provider_error"] * 2 + ["passed"]
    assert [cost for _, model, cost in bench.calls(job) if model == "openai:small"] == [None] * 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=401),
        Reply(status=429, raw=b'{"error": {"code": "insufficient_quota"}}'),
    ],
    ids=["a refused key", "a quota used up"],
)
def test_a_job_waits_for_what_the_operator_must_mend(bench: Bench, reply: Reply) -> None:
    bench.server.answer = by_model(small=reply)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 5)
    found = bench.job(job)
    assert (found["status"], found["tier"], found["failures"]) == ("queued", "slm", 0)


def test_a_job_that_was_held_for_a_day_fails(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(status=429, headers={"Retry-After": "0"}))
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    bench.all(
        "UPDATE jobs SET held_since = held_since - interval '24 h' WHERE id = %s RETURNING id", job
    )
    bench.run(job)
    found = bench.job(job)
    assert (found["status"], found["tier"], found["error_code"]) == (
        "failed",
        "slm",
        "rate_limited",
    )


def test_a_tier_waits_for_its_busy_model_when_the_other_cannot_answer(bench: Bench) -> None:
    bench.server.answer = by_model(
        small=Reply(status=429, headers={"Retry-After": "30"}), other=Reply(status=404)
    )
    version, _ = bench.apply(models="[openai:small, openai:other]")
    job = bench.submit(version)
    bench.run(job)
    assert (bench.job(job)["status"], bench.verdicts(job)) == ("queued", ["rate_limited"])


def test_what_an_error_of_ours_behind_a_call_cost_is_not_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OverflowError

    monkeypatch.setattr(bench.executor.admission, "answered", broken)
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    assert bench.verdicts(job) == ["provider_error"]
    assert bench.calls(job) == [("answer", "openai:small", None)]


def test_the_next_model_of_a_tier_is_asked_when_the_first_fails(bench: Bench) -> None:
    bench.server.answer = by_model(broken=Reply(status=500), small=RIGHT)
    version, _ = bench.apply(models="[openai:broken, openai:small]")
    job = bench.submit(version)
    bench.run(job)
    assert bench.verdicts(job) == ["passed"]
    assert [model for _, model, _ in bench.calls(job)] == ["openai:broken", "openai:small"]


def test_an_input_that_is_surely_longer_than_the_context_is_not_sent(bench: Bench) -> None:
    bench.server.answer = by_model(large=RIGHT)
    version, _ = bench.apply(models="[local:smollm2-135m]")
    job = bench.submit(version, "it costs 12.50 " + "and more " * 5000)
    bench.run(job, 2)
    assert bench.verdicts(job) == ["provider_error", "passed"]
    reason = bench.one("SELECT reason FROM attempts WHERE job_id = %s AND number = 1", job)
    assert reason == "not sent: the input is longer than the model's context of 4096 tokens"


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


def test_a_cancel_during_the_call_ends_a_job_whose_answer_fails(bench: Bench) -> None:
    asked = threading.Event()
    answer = threading.Event()

    def slow(_: Any) -> str:
        asked.set()
        answer.wait(10)
        return "{}"

    bench.server.answer = slow
    version, _ = bench.apply()
    job = bench.submit(version)
    running = threading.Thread(target=bench.run, args=(job,))
    running.start()
    assert asked.wait(10)
    with bench.pool.connection() as connection:
        assert cancel(connection, bench.account, job) == "in_progress"
    answer.set()
    running.join(10)
    assert bench.job(job)["status"] == "cancelled"
    assert bench.verdicts(job) == ["schema"]


def test_of_ten_hints_for_one_job_one_runs_it(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(text=RIGHT, delay_s=0.05))
    version, _ = bench.apply()
    job = bench.submit(version)
    before = len(bench.server.calls)
    threads = [threading.Thread(target=bench.run, args=(job,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(bench.server.calls) == before + 1
    assert bench.job(job)["attempts"] == 1


def test_a_connection_cut_between_the_finish_and_its_answer_ends_the_job_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = settling.repeat
    cuts = iter([True])

    def landed_but_cut(pool: Any, statement: Any, *, keep_on: Any) -> Any:
        if next(cuts, False):
            real(pool, statement, keep_on=keep_on)  # committed; its answer is lost
        return real(pool, statement, keep_on=keep_on)

    monkeypatch.setattr(settling, "repeat", landed_but_cut)
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.one("SELECT count(*) FROM answers WHERE job_id = %s", job) == 1


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


def test_a_hint_for_a_job_that_does_not_exist_does_nothing(bench: Bench) -> None:
    before = len(bench.server.calls)
    bench.executor.run(new_id())
    assert len(bench.server.calls) == before


def test_a_job_of_a_cancelled_batch_is_ended_and_calls_no_model(bench: Bench) -> None:
    _, feature = bench.apply()
    line = b'{"input": {"text": "it costs 12.50"}}\n'
    with bench.pool.connection() as connection:
        row, _ = open_batch(connection, bench.account, Opening(feature.name))
        take_part(connection, bench.account, row["id"], 1, line)
        assert close_as_cancelled(connection, bench.account, row["id"])
    job = bench.one("SELECT id FROM jobs WHERE batch_id = %s", row["id"])
    bench.run(job)
    assert bench.job(job)["status"] == "cancelled"
    assert bench.calls(job) == []


STEPS = """
    steps:
      - name: text
        instructions: Copy the amount.
        output: {type: string}
        max_tokens: 12
      - name: amount
        instructions: Write it as a number.
        output: {type: object, required: [amount], properties: {amount: {type: number}}}
        checks:
          - rule: output.amount > 0.0
            says: an amount is over 0
"""


def test_steps_are_calls_of_their_own_and_each_is_told_what_those_before_found(
    bench: Bench,
) -> None:
    answers = iter(["12,50 EUR", '{"amount": 12.5}', RIGHT])
    bench.server.answer = lambda _: next(answers)
    version, _ = bench.apply(slm=STEPS + PRICED)
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    calls = bench.calls(job)
    assert [purpose for purpose, _, _ in calls] == ["step", "step", "answer"]
    asked = bench.server.calls[-3:]
    assert asked[0].body["max_tokens"] == 12
    assert "12,50 EUR" in asked[1].last_message
    assert '{"amount": 12.5}' in asked[2].last_message
    cost = bench.one("SELECT sum(cost_usd) FROM calls WHERE job_id = %s", job)
    assert cost == 3 * (100 * Decimal("0.1") + 10 * Decimal("0.4")) / 1_000_000


def test_a_failed_step_is_the_tiers_failed_check_and_no_later_step_is_asked(bench: Bench) -> None:
    bench.server.answer = lambda body: (
        RIGHT if body["model"] == "large" else '{"amount": -3}' if "number" in str(body) else "-3"
    )
    version, _ = bench.apply(slm=STEPS)
    job = bench.submit(version)
    bench.run(job)
    assert bench.verdicts(job) == ["rule"]
    assert [purpose for purpose, _, _ in bench.calls(job)] == ["step", "step"]
    reason = bench.one("SELECT reason FROM attempts WHERE job_id = %s", job)
    assert reason == "step amount: an amount is over 0"
    bench.run(job)
    told = bench.server.calls[-1].last_message
    assert "step amount: an amount is over 0" in told
    assert '{"amount": -3}' not in told
    assert bench.job(job)["status"] == "completed"


def test_what_a_step_wrote_is_never_served_in_the_answers_place(bench: Bench) -> None:
    bench.server.answer = by_model(small='{"amount": -3}', large="")
    version, _ = bench.apply(
        slm=STEPS, more="routing: slm_only\non_blocked: return_unverified", models="[openai:small]"
    )
    job = bench.submit(version)
    bench.run(job)
    assert (bench.job(job)["status"], bench.job(job)["answer_attempt"]) == ("failed", None)


def test_a_step_is_asked_once_more_where_its_tier_says_so(bench: Bench) -> None:
    answers = iter(["12,50", '{"amount": 0}', '{"amount": 12.5}', RIGHT])
    bench.server.answer = lambda _: next(answers)
    version, _ = bench.apply(slm=STEPS + "    reask: true\n")
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    purposes = [purpose for purpose, _, _ in bench.calls(job)]
    assert purposes == ["step", "step", "reask", "answer"]


def test_joined_steps_are_the_answer_and_cost_no_call_more(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    steps = (
        STEPS[: STEPS.index("      - name: text")] + STEPS[STEPS.index("      - name: amount") :]
    )
    version, _ = bench.apply(slm=steps + "    join_steps: true\n")
    job = bench.submit(version)
    bench.run(job)
    assert bench.one("SELECT output FROM answers WHERE job_id = %s", job) == {"amount": 12.5}
    assert [purpose for purpose, _, _ in bench.calls(job)] == ["step"]


def test_a_drafts_job_keeps_what_was_said_to_its_models_and_no_other_does(bench: Bench) -> None:
    answers = iter(["12,50 EUR", '{"amount": 12.5}', "no idea\x00", RIGHT])
    bench.server.answer = lambda _: next(answers)
    _, feature = bench.apply(slm=STEPS)
    with bench.pool.connection() as connection:
        draft = add_draft(connection, feature, "").id
    job = bench.submit(draft)
    bench.run(job, 2)
    first, second = (
        trace
        for (trace,) in bench.all(
            "SELECT trace FROM answers WHERE job_id = %s ORDER BY attempt", job
        )
    )
    assert [said["purpose"] for said in first] == ["step", "step", "answer"]
    assert [said["text"] for said in first] == ["12,50 EUR", '{"amount": 12.5}', "no idea\ufffd"]
    assert first[1]["messages"] == bench.server.calls[-3].body["messages"]
    assert [said["model"] for said in second] == ["large-2026"]
    plain, _ = bench.apply()
    bench.server.answer = by_model(small=RIGHT)
    job = bench.submit(plain)
    bench.run(job)
    assert bench.one("SELECT trace FROM answers WHERE job_id = %s", job) is None
