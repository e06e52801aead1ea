"""Calls that give no answer: what becomes of the job, and what is booked."""

from decimal import Decimal

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import RIGHT, Bench, by_model


def test_a_rate_limit_is_obeyed_and_burns_no_attempt_of_the_tier(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(status=429, headers={"Retry-After": "30"}))
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    job_row = bench.job(job)
    assert (job_row["status"], job_row["tier"], job_row["failures"]) == ("queued", "slm", 0)
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
    job_row = bench.job(job)
    assert (job_row["status"], job_row["tier"], job_row["failures"]) == ("queued", "slm", 0)


def test_a_job_that_was_held_for_a_day_fails(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(status=429, headers={"Retry-After": "0"}))
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    bench.all(
        "UPDATE jobs SET held_since = held_since - interval '24 h' WHERE id = %s RETURNING id", job
    )
    bench.run(job)
    job_row = bench.job(job)
    assert (job_row["status"], job_row["tier"], job_row["error_code"]) == (
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
