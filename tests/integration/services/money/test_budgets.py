"""Budgets under contention: what is reserved and spent never goes beyond the limit."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.support.scenes.bench import Bench
from tests.support.waiting import DEADLINE_S
from tierline.base.ids import new_id
from tierline.storage.money.budgets import Full, Holder
from tierline.storage.money.reservations import CallId, reserve, settle, settle_anew

CENT = Decimal("0.01")


@pytest.fixture(autouse=True)
def no_budgets(bench: Bench) -> Iterator[None]:
    yield
    with bench.pool.connection() as connection:
        connection.execute("TRUNCATE reservations, budget_periods, budgets")


def budget(bench: Bench, limit: str, scope: str = "account", key: str = "", **more: Any) -> None:
    columns = {"period": "month", "hard": True} | more
    bench.all(
        "INSERT INTO budgets (account_id, scope, key, period, limit_usd, hard)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        *(bench.account, scope, key, columns["period"], Decimal(limit), columns["hard"]),
    )


def ask(bench: Bench, amount: Decimal = CENT, *, first_tier: bool = False, **who: str) -> Any:
    """A call of its own, and what stood in its way."""
    call = CallId(new_id(), 1, 1)
    holder = Holder(bench.account, **who)
    with bench.pool.connection() as connection:
        return call, reserve(connection, holder, call, amount, first_tier=first_tier)


def pay(bench: Bench, call: CallId, cost: Decimal | None) -> None:
    with bench.pool.connection() as connection:
        settle(connection, call, cost)


def sums(bench: Bench) -> list[tuple[Decimal, Decimal]]:
    return bench.all("SELECT reserved_usd, spent_usd FROM budget_periods ORDER BY id")


def test_64_threads_on_one_budget_take_what_there_is_and_no_more(bench: Bench) -> None:
    budget(bench, "1.00")
    budget(bench, "5.00", scope="user")
    together = threading.Barrier(64)
    out: list[Decimal] = []  # what was out or spent by calls let through, as each ended

    def work(number: int) -> int:
        together.wait(DEADLINE_S)
        served = 0
        for turn in range(8):
            call, full = ask(bench, user=f"user-{number % 4}")
            if full is None:
                served += 1
                cost = CENT if turn % 2 else CENT / 2
                out.append(cost)
                pay(bench, call, cost)
        return served

    with ThreadPoolExecutor(64) as threads:
        served = sum(threads.map(work, range(64)))
    reserved, spent = bench.one(
        "SELECT sum(p.reserved_usd), sum(p.spent_usd) FROM budget_periods p"
        " JOIN budgets b ON b.id = p.budget_id WHERE b.scope = 'account'"
    )
    assert reserved == 0
    assert spent == sum(out)
    assert Decimal("0.90") <= spent <= Decimal("1.00")
    assert 100 <= served < 64 * 8  # the budget was contended for, and refused some


def test_without_settling_64_threads_get_exactly_as_many_as_fit(bench: Bench) -> None:
    budget(bench, "0.50")
    together = threading.Barrier(64)

    def work(_: int) -> bool:
        together.wait(DEADLINE_S)
        return ask(bench)[1] is None

    with ThreadPoolExecutor(64) as threads:
        assert sum(threads.map(work, range(64))) == 50
    assert sums(bench) == [(Decimal("0.50"), 0)]


def test_a_call_takes_from_all_of_its_budgets_or_from_none(bench: Bench) -> None:
    budget(bench, "1.00")
    budget(bench, "0.01", scope="user", period="day")
    assert ask(bench, user="ann")[1] is None
    full = ask(bench, user="ann")[1]
    assert isinstance(full, Full)
    assert (full.scope, full.period, full.limit_usd) == ("user", "day", CENT)
    assert ask(bench, user="bob")[1] is None  # each user has one
    assert ask(bench)[1] is None  # a job without a user has the account's alone
    assert sorted(sums(bench)) == [(CENT, 0), (CENT, 0), (CENT * 3, 0)]


def test_a_budget_of_one_user_goes_before_the_one_of_each(bench: Bench) -> None:
    budget(bench, "0.01", scope="user")
    budget(bench, "0.03", scope="user", key="ann")
    assert [ask(bench, user="ann")[1] is None for _ in range(4)] == [True, True, True, False]


def test_a_repeat_reserves_and_settles_once(bench: Bench) -> None:
    budget(bench, "1.00")
    call, _ = ask(bench)
    with bench.pool.connection() as connection:
        assert reserve(connection, Holder(bench.account), call, CENT, first_tier=False) is None
    assert sums(bench) == [(CENT, 0)]
    pay(bench, call, CENT / 4)
    pay(bench, call, CENT)
    assert sums(bench) == [(0, CENT / 4)]


def test_a_cost_that_nobody_knows_is_the_reservation_and_a_lost_call_keeps_it(bench: Bench) -> None:
    budget(bench, "0.02")
    pay(bench, ask(bench)[0], None)
    assert ask(bench)[1] is None  # and is never settled
    assert sums(bench) == [(CENT, CENT)]
    full = ask(bench)[1]
    assert full is not None
    assert full.waits  # for what is out: it may come to cost less
    pay(bench, CallId(new_id(), 1, 1), CENT)  # a call without a reservation
    assert sums(bench) == [(CENT, CENT)]


def test_what_was_surely_not_served_is_given_back(bench: Bench) -> None:
    budget(bench, "0.01")
    call, _ = ask(bench)
    assert ask(bench)[1] is not None
    pay(bench, call, Decimal(0))
    assert ask(bench)[1] is None


def test_a_soft_budget_counts_the_first_tier_and_refuses_only_the_later_ones(bench: Bench) -> None:
    budget(bench, "0.01", hard=False)
    pay(bench, ask(bench, first_tier=True)[0], CENT)
    assert ask(bench, first_tier=True)[1] is None
    full = ask(bench)[1]
    assert full is not None
    assert not full.waits
    assert sums(bench) == [(CENT, CENT)]


def test_what_costs_nothing_is_never_refused(bench: Bench) -> None:
    budget(bench, "0")
    assert ask(bench, Decimal(0))[1] is None
    assert ask(bench)[1] is not None


def test_no_budget_writes_nothing(bench: Bench) -> None:
    assert ask(bench)[1] is None
    assert sums(bench) == []
    assert bench.one("SELECT count(*) FROM reservations") == 0


def test_a_reservation_that_a_crash_forgot_is_counted_when_its_call_ends(bench: Bench) -> None:
    budget(bench, "0.02")
    call, full = ask(bench)
    assert full is None
    with bench.pool.connection() as connection:
        connection.execute("DELETE FROM reservations")
        connection.execute("UPDATE budget_periods SET reserved_usd = 0")
        assert settle(connection, call, CENT / 2) is None
        settle_anew(connection, Holder(bench.account), call, CENT, CENT / 2)
        settle_anew(connection, Holder(bench.account), call, CENT, CENT / 2)  # once is enough
    assert sums(bench) == [(0, CENT / 2)]
