"""Jobs under a budget, through real calls to a loopback server: what is asked, served and spent."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.scenes.budgeted import (
    LARGE_CALL,
    SMALL_CALL,
    blocked_reason,
    budget,
    priced,
    spent,
)
from tierline.services.money.budgets import BudgetSpent, refuse_spent
from tierline.storage.money.budgets import Holder, hard_ones

pytestmark = pytest.mark.usefixtures("no_budgets")


def test_calls_settle_at_what_they_cost(bench: Bench) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    budget(bench, "1")
    job = bench.submit(priced(bench))
    bench.run(job, 2)
    assert bench.job(job)["status"] == "completed"
    assert spent(bench) == (Decimal(0), SMALL_CALL + LARGE_CALL)


def test_when_it_is_spent_jobs_go_on_on_the_first_tier_only_and_say_so(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    budget(bench, "0.0000001")
    version = priced(bench)
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    blocked = bench.submit(version)
    bench.run(blocked, 2)
    job_row = bench.job(blocked)
    assert (job_row["status"], job_row["error_code"]) == ("failed", "budget")
    assert "the account's budget of 0.0000001 USD a day" in job_row["error_message"]
    assert "it resets at" in job_row["error_message"]
    assert "malformed: " in job_row["error_message"]
    assert job_row["escalation_reason"] is None
    assert "it resets at" in blocked_reason(bench, blocked)
    assert blocked_reason(bench, job) is None  # it passed: nobody held it back
    assert bench.verdicts(blocked) == ["malformed"]
    assert [call.model for call in bench.server.calls[-2:]] == ["small", "small"]


def test_what_may_not_escalate_is_served_unverified_where_the_feature_says_so(
    bench: Bench,
) -> None:
    bench.server.answer = by_model(small='{"amount": "a lot"}', large=RIGHT)
    budget(bench, "0.0000001")
    job = bench.submit(priced(bench, "on_blocked: return_unverified"))
    bench.run(job, 2)
    job_row = bench.job(job)
    assert (job_row["status"], job_row["unverified"], job_row["answer_attempt"]) == (
        "completed",
        True,
        1,
    )
    assert job_row["model"] == "small-2026"
    assert "the account's budget of 0.0000001 USD a day" in blocked_reason(bench, job)
    assert bench.one("SELECT output FROM answers WHERE job_id = %s", job) == {"amount": "a lot"}


@pytest.mark.parametrize("on_blocked", ["fail", "return_unverified"])
def test_a_call_that_the_budget_does_not_hold_ends_the_job_on_the_earlier_tiers_answer(
    bench: Bench, on_blocked: str
) -> None:
    bench.server.answer = by_model(small='{"amount": "a lot"}', large=RIGHT)
    budget(bench, "0.01")  # something is left when it escalates, and less than a large call
    job = bench.submit(priced(bench, f"on_blocked: {on_blocked}"))
    bench.run(job, 2)
    job_row = bench.job(job)
    assert bench.verdicts(job) == ["schema", "budget"]
    assert bench.calls(job)[1] == ("answer", "openai:large", Decimal(0))
    assert spent(bench) == (Decimal(0), SMALL_CALL)
    reason = blocked_reason(bench, job)
    assert "the account's budget of 0.01 USD a day does not fit: up to " in reason
    assert f"USD needed for this call, {Decimal('0.01') - SMALL_CALL} USD left" in reason
    if on_blocked == "fail":
        assert (job_row["status"], job_row["error_code"]) == ("failed", "budget")
    else:
        assert (job_row["status"], job_row["unverified"]) == ("completed", True)
        assert (job_row["answer_attempt"], job_row["model"]) == (1, "small-2026")


def test_a_first_tier_that_is_refused_is_not_replaced_by_a_dearer_one(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    budget(bench, "0.00001", hard=True)
    job = bench.submit(priced(bench))
    bench.run(job, 2)
    assert bench.verdicts(job) == ["budget"]
    assert (bench.job(job)["status"], bench.job(job)["tier"]) == ("failed", "slm")


def test_what_cannot_be_read_is_not_served_in_the_place_of_an_answer(bench: Bench) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    budget(bench, "0.0000001")
    job = bench.submit(priced(bench, "on_blocked: return_unverified"))
    bench.run(job, 2)
    assert bench.job(job)["status"] == "failed"


def test_a_hard_budget_binds_the_first_tier_and_submissions(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    budget(bench, "0.0002", hard=True)
    version = priced(bench)
    jobs = [bench.submit(version, f"it costs {number}") for number in range(30)]
    for job in jobs:
        bench.run(job, 2)
    states = [bench.job(job)["status"] for job in jobs]
    assert states[0] == "completed"
    assert "failed" in states
    assert spent(bench)[1] <= Decimal("0.0002")
    bench.all("UPDATE budget_periods SET spent_usd = 0.0002 RETURNING id")
    with bench.pool.connection() as connection, pytest.raises(BudgetSpent) as refused:
        refuse_spent(hard_ones(connection, Holder(bench.account)))
    assert "it resets at" in refused.value.message
    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 86_400


def test_an_unpriced_model_is_refused_under_a_budget(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    budget(bench, "100")
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 2)
    job_row = bench.job(job)
    assert (job_row["status"], job_row["error_code"]) == ("failed", "budget")
    assert "has no price" in job_row["error_message"]
    assert bench.verdicts(job) == ["budget"]


def test_a_budget_of_another_user_asks_for_no_price(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    budget(bench, "100", scope="user", key="ann")
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"


def test_a_model_that_costs_nothing_reserves_nothing(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    budget(bench, "0", hard=True)
    free = """
    prices:
      openai:small: {input_usd_per_mtok: 0, output_usd_per_mtok: 0}
"""
    version, _ = bench.apply(slm=free)
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.all("SELECT FROM reservations") == []


def test_a_shadow_is_paid_from_its_features_own_budget(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    budget(bench, "1")
    version = priced(bench)
    job = bench.submit(version)
    bench.run(job)
    shadow = bench.submit(version, shadow_of=job)
    bench.run(shadow)
    assert bench.job(shadow)["status"] == "completed"
    assert spent(bench) == (Decimal(0), SMALL_CALL)


def test_each_threshold_is_told_once_however_many_cross_it(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    endpoint = bench.one(
        "INSERT INTO webhook_endpoints (id, account_id, url, events, secret)"
        " VALUES (gen_random_uuid(), %s, 'http://127.0.0.1:9/', '{budget.alert}', 'whsec_x')"
        " RETURNING id",
        bench.account,
    )
    budget(bench, str(SMALL_CALL * 40))
    version = priced(bench)
    jobs = [bench.submit(version, f"it costs {number}") for number in range(48)]
    try:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(bench.executor.run, jobs))
        told = bench.all(
            "SELECT convert_from(body, 'UTF8')::json -> 'data' FROM deliveries"
            " WHERE endpoint_id = %s ORDER BY seq",
            endpoint,
        )
        assert sorted(data["percent"] for (data,) in told) == [50, 80, 100]
        assert {data["scope"] for (data,) in told} == {"account"}
    finally:
        bench.all("DELETE FROM deliveries WHERE endpoint_id = %s RETURNING id", endpoint)
        bench.all("DELETE FROM webhook_endpoints WHERE id = %s RETURNING id", endpoint)


def test_an_account_without_budgets_is_asked_about_none(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.all("SELECT FROM reservations") == []
