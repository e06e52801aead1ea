"""Jobs under a budget, through real calls to a loopback server: what is asked, served and spent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import PRICED, RIGHT, Bench, by_model
from tierline.services.money.budgets import BudgetSpent, refuse_spent, settle_lost
from tierline.storage.jobs import claims
from tierline.storage.money.budgets import Holder, hard_ones
from tierline.storage.money.plans import put_on, set_plan
from tierline.storage.money.reservations import CallId, reserve, settle

SMALL_CALL = Decimal("0.000014")  # 100 tokens in, 10 out
LARGE_CALL = Decimal("0.0014")
# A large call is reserved at some 1,500 tokens in and 50 out: about 0.017 USD.


@pytest.fixture(autouse=True)
def no_budgets(bench: Bench) -> Iterator[None]:
    yield
    with bench.pool.connection() as connection:
        connection.execute("TRUNCATE reservations, budget_periods, budgets")


def budget(bench: Bench, limit: str, **more: Any) -> None:
    found = {"scope": "account", "key": "", "period": "day", "hard": False} | more
    bench.all(
        "INSERT INTO budgets (account_id, scope, key, period, limit_usd, hard)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        *(bench.account, found["scope"], found["key"], found["period"], limit, found["hard"]),
    )


def priced(bench: Bench, more: str = "") -> int:
    """A feature both of whose tiers have a price; its version."""
    version, _ = bench.apply(more, slm=PRICED)
    bench.all(
        "UPDATE feature_versions SET document = jsonb_set(document::jsonb, '{tiers,1,prices}',"
        """ '{"openai:large": {"input_usd_per_mtok": "10", "output_usd_per_mtok": "40"}}')::json"""
        " WHERE id = %s RETURNING id",
        version,
    )
    return version


def blocked_reason(bench: Bench, job: UUID) -> Any:
    return bench.one("SELECT blocked_reason FROM jobs WHERE id = %s", job)


def spent(bench: Bench) -> tuple[Decimal, Decimal]:
    found: tuple[Decimal, Decimal] = bench.one(
        "SELECT sum(reserved_usd), sum(spent_usd) FROM budget_periods"
    )
    return found


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
    found = bench.job(blocked)
    assert (found["status"], found["error_code"]) == ("failed", "budget")
    assert "the account's budget of 0.0000001 USD a day" in found["error_message"]
    assert "it resets at" in found["error_message"]
    assert "malformed: " in found["error_message"]
    assert found["escalation_reason"] is None
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
    found = bench.job(job)
    assert (found["status"], found["unverified"], found["answer_attempt"]) == ("completed", True, 1)
    assert found["model"] == "small-2026"
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
    found = bench.job(job)
    assert bench.verdicts(job) == ["schema", "budget"]
    assert bench.calls(job)[1] == ("answer", "openai:large", Decimal(0))
    assert spent(bench) == (Decimal(0), SMALL_CALL)
    reason = blocked_reason(bench, job)
    assert "the account's budget of 0.01 USD a day does not fit: up to " in reason
    assert f"USD needed for this call, {Decimal('0.01') - SMALL_CALL} USD left" in reason
    if on_blocked == "fail":
        assert (found["status"], found["error_code"]) == ("failed", "budget")
    else:
        assert (found["status"], found["unverified"]) == ("completed", True)
        assert (found["answer_attempt"], found["model"]) == (1, "small-2026")


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
    found = bench.job(job)
    assert (found["status"], found["error_code"]) == ("failed", "budget")
    assert "has no price" in found["error_message"]
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


def test_a_call_that_went_with_its_worker_is_settled_at_its_reservation(bench: Bench) -> None:
    budget(bench, "1")
    version = priced(bench)
    lost, running = bench.submit(version), bench.submit(version)
    with bench.pool.connection() as connection:
        for job in (lost, running):
            assert claims.claim(connection, job, uuid4(), ["slm"], "test") is not None
            call = CallId(job, 1, 1)
            holder = Holder(bench.account)
            assert reserve(connection, holder, call, SMALL_CALL, first_tier=True) is None
        bench.all("UPDATE jobs SET status = 'queued' WHERE id = %s RETURNING id", lost)
        assert settle_lost(connection, 60.0, 10) == 0  # it may still come back
        assert settle_lost(connection, 0.0, 10) == 1
        assert settle_lost(connection, 0.0, 10) == 0
        bench.all(
            "UPDATE jobs SET status = 'failed' WHERE id = ANY(%s) RETURNING id", [lost, running]
        )
    assert spent(bench) == (SMALL_CALL, SMALL_CALL)


WORST = Decimal("4.00")
COST = Decimal("0.001")


def lose_calls(bench: Bench, count: int) -> list[CallId]:
    """Calls of lost workers, each with WORST reserved."""
    version = priced(bench)
    lost = [CallId(bench.submit(version), 1, 1) for _ in range(count)]
    with bench.pool.connection() as connection:
        for call in lost:
            assert claims.claim(connection, call.job_id, uuid4(), ["slm"], "test") is not None
            holder = Holder(bench.account)
            assert reserve(connection, holder, call, WORST, first_tier=True) is None
        connection.execute(
            "UPDATE jobs SET status = 'failed' WHERE id = ANY(%s)", ([one.job_id for one in lost],)
        )
    return lost


def test_a_lost_reservation_settles_at_its_calls_cost_where_that_is_known(bench: Bench) -> None:
    """The call's row is committed before its answer counts; a server that crashes may forget only
    that the reservation was settled."""
    budget(bench, "1000")
    known, unknown = lose_calls(bench, 2)
    bench.all(
        "UPDATE calls SET settled_at = clock_timestamp(), cost_usd = %s WHERE job_id = %s"
        " RETURNING job_id",
        *(COST, known.job_id),
    )
    bench.all(
        "UPDATE calls SET settled_at = clock_timestamp() WHERE job_id = %s RETURNING job_id",
        unknown.job_id,
    )
    with bench.pool.connection() as connection:
        assert settle_lost(connection, 0.0, 10) == 2
    assert spent(bench) == (Decimal(0), COST + WORST)


def test_a_call_that_comes_back_after_it_was_given_up_costs_what_it_cost(bench: Bench) -> None:
    budget(bench, "1000")
    (call,) = lose_calls(bench, 1)
    with bench.pool.connection() as connection:
        assert settle_lost(connection, 0.0, 10) == 1
        assert spent(bench) == (Decimal(0), WORST)
        for cost in (COST, COST, None):  # whatever is repeated
            settle(connection, call, cost)
            assert spent(bench) == (Decimal(0), COST)


def test_calls_that_are_settled_while_they_are_given_up_are_booked_once_at_their_cost(
    bench: Bench,
) -> None:
    budget(bench, "1000")
    lost = lose_calls(bench, 60)
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        with bench.pool.connection() as connection:
            if number % 2:
                while settle_lost(connection, 0.0, 7):
                    pass
            for call in lost:
                settle(connection, call, COST)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(race, range(8)))
    assert spent(bench) == (Decimal(0), COST * len(lost))


def test_a_job_does_not_wait_for_ever_for_what_others_have_out(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    budget(bench, "0.001", hard=True)
    version = priced(bench)
    bench.run(bench.submit(version))
    bench.all("UPDATE budget_periods SET reserved_usd = 0.0009 RETURNING id")
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "queued"
    held = "held_since = held_since - interval '61 s', run_after = clock_timestamp()"
    bench.all(f"UPDATE jobs SET {held} WHERE id = %s RETURNING id", job)
    bench.run(job)
    assert bench.job(job)["error_code"] == "budget"


def test_a_call_whose_cost_nobody_knows_settles_at_its_reservation(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(text=RIGHT, usage=None))
    budget(bench, "1")
    job = bench.submit(priced(bench))
    bench.run(job)
    assert bench.calls(job)[0][2] is None
    reserved, paid = spent(bench)
    assert reserved == 0
    assert paid > SMALL_CALL


def test_a_call_that_was_surely_not_served_takes_nothing(bench: Bench) -> None:
    bench.server.answer = by_model(small=Reply(status=429))
    budget(bench, "1")
    job = bench.submit(priced(bench))
    bench.run(job)
    assert spent(bench) == (Decimal(0), Decimal(0))


def test_a_job_waits_for_what_others_have_out(bench: Bench) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    budget(bench, "0.02")
    job = bench.submit(priced(bench))
    bench.run(job)
    bench.all("UPDATE budget_periods SET reserved_usd = 0.019 RETURNING id")  # a call of another
    bench.run(job)
    found = bench.job(job)
    assert (found["status"], found["tier"], found["failures"]) == ("queued", "frontier", 0)
    bench.all("UPDATE budget_periods SET reserved_usd = 0 RETURNING id")
    bench.all("UPDATE jobs SET run_after = clock_timestamp() WHERE id = %s RETURNING id", job)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"


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


def test_64_workers_racing_on_one_budget_do_not_overshoot(bench: Bench) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    budget(bench, "0.06")
    version = priced(bench)
    jobs = [bench.submit(version, f"it costs {number}") for number in range(96)]

    def work(job: UUID) -> None:
        for _ in range(6):
            bench.executor.run(job)

    with ThreadPoolExecutor(64) as threads:
        list(threads.map(work, jobs))
    reserved, paid = spent(bench)
    true = bench.one(
        "SELECT sum(cost_usd) FROM calls WHERE job_id = ANY(%s) AND cost_usd IS NOT NULL", jobs
    )
    assert reserved == 0
    assert paid == true  # what the first tier cost is counted and never refused
    large = bench.one(
        "SELECT coalesce(sum(cost_usd), 0) FROM calls WHERE job_id = ANY(%s)"
        " AND model = 'openai:large'",
        jobs,
    )
    assert 0 < large <= Decimal("0.06")


@pytest.fixture
def free(bench: Bench) -> Iterator[None]:
    """The account is on a plan that has the first tier only."""
    with bench.pool.connection() as connection:
        set_plan(connection, "free", first_tier_only=True, budgets=[])
        assert put_on(connection, bench.account, "free")
    yield
    with bench.pool.connection() as connection:
        put_on(connection, bench.account, None)


def test_a_plan_may_keep_an_account_on_the_first_tier(bench: Bench, free: None) -> None:
    bench.server.answer = by_model(small='{"amount": "a lot"}', large=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job, 2)
    found = bench.job(job)
    assert (found["status"], found["error_code"]) == ("failed", "plan")
    assert "the account's plan free allows only the first tier" in found["error_message"]
    assert "the account's plan free" in blocked_reason(bench, job)
    assert bench.verdicts(job) == ["schema"]  # it is known before it would escalate
    assert found["escalation_reason"] is None
    version, _ = bench.apply("on_blocked: return_unverified")
    job = bench.submit(version)
    bench.run(job, 2)
    assert (bench.job(job)["status"], bench.job(job)["unverified"]) == ("completed", True)


def test_a_job_that_begins_on_a_later_tier_is_held_back_by_the_plan(
    bench: Bench, free: None
) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, _ = bench.apply("routing: frontier_only")
    job = bench.submit(version, tier="frontier", tier_index=1)
    before = len(bench.server.calls)
    bench.run(job, 2)
    assert (bench.job(job)["status"], bench.job(job)["error_code"]) == ("failed", "plan")
    assert "the account's plan free" in blocked_reason(bench, job)
    assert len(bench.server.calls) == before


def test_what_looks_too_complex_is_asked_of_the_first_tier_where_no_other_may_be(
    bench: Bench, free: None
) -> None:
    bench.server.answer = by_model(small=RIGHT, large=RIGHT)
    version, _ = bench.apply("complexity: {max_risk: 0.5, longest: 200}")
    job = bench.submit(version, "x" * 300)
    bench.run(job)
    assert (bench.job(job)["status"], bench.verdicts(job)) == ("completed", ["passed"])


def test_a_better_plan_unlocks_the_next_tier(bench: Bench, free: None) -> None:
    bench.server.answer = by_model(small="no idea", large=RIGHT)
    version, _ = bench.apply()
    with bench.pool.connection() as connection:
        set_plan(connection, "premium", first_tier_only=False, budgets=[])
        put_on(connection, bench.account, "premium")
    job = bench.submit(version)
    bench.run(job, 2)
    assert bench.job(job)["status"] == "completed"


def test_a_plans_budgets_come_and_go_with_it_and_leave_the_accounts_own(bench: Bench) -> None:
    day = {"scope": "account", "period": "day", "limit_usd": "5", "hard": False}
    each = {"scope": "user", "period": "day", "limit_usd": "1", "hard": True}

    def budgets() -> list[tuple[Any, ...]]:
        return bench.all(
            "SELECT scope, limit_usd, plan FROM budgets WHERE account_id = %s ORDER BY scope",
            bench.account,
        )

    budget(bench, "9")  # the account's own, a day
    with bench.pool.connection() as connection:
        set_plan(connection, "premium", first_tier_only=False, budgets=[day, each])
        put_on(connection, bench.account, "premium")
        assert budgets() == [("account", 9, None), ("user", 1, "premium")]
        set_plan(connection, "premium", first_tier_only=False, budgets=[{**each, "limit_usd": "2"}])
        assert budgets() == [("account", 9, None), ("user", 2, "premium")]
        put_on(connection, bench.account, None)
        assert budgets() == [("account", 9, None)]
        assert not put_on(connection, bench.account, "gold")
