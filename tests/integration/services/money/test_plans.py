"""Plans: the tiers that an account may use, and the budgets that come with a plan."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.scenes.budgeted import blocked_reason, budget
from tierline.storage.money.plans import put_on, set_plan

pytestmark = pytest.mark.usefixtures("no_budgets")


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
    job_row = bench.job(job)
    assert (job_row["status"], job_row["error_code"]) == ("failed", "plan")
    assert "the account's plan free allows only the first tier" in job_row["error_message"]
    assert "the account's plan free" in blocked_reason(bench, job)
    assert bench.verdicts(job) == ["schema"]  # it is known before it would escalate
    assert job_row["escalation_reason"] is None
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
