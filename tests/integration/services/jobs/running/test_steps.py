"""The steps of a tier: calls of their own, each told what those before it found."""

from decimal import Decimal

from tests.support.scenes.bench import PRICED, RIGHT, Bench, by_model
from tierline.storage.features.features import add_draft

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
    requests = bench.server.calls[-3:]
    assert requests[0].body["max_tokens"] == 12
    assert "12,50 EUR" in requests[1].last_message
    assert '{"amount": 12.5}' in requests[2].last_message
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
    message = bench.server.calls[-1].last_message
    assert "step amount: an amount is over 0" in message
    assert '{"amount": -3}' not in message
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
    assert [request["purpose"] for request in first] == ["step", "step", "answer"]
    assert [request["text"] for request in first] == [
        "12,50 EUR",
        '{"amount": 12.5}',
        "no idea\ufffd",
    ]
    assert first[1]["messages"] == bench.server.calls[-3].body["messages"]
    assert [request["model"] for request in second] == ["large-2026"]
    plain, _ = bench.apply()
    bench.server.answer = by_model(small=RIGHT)
    job = bench.submit(plain)
    bench.run(job)
    assert bench.one("SELECT trace FROM answers WHERE job_id = %s", job) is None
