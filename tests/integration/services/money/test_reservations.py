"""Reservations of calls that others make, that were lost, or whose cost nobody knows."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.scenes.budgeted import SMALL_CALL, budget, priced, spent
from tierline.services.money.budgets import settle_lost
from tierline.storage.jobs import claims
from tierline.storage.money.budgets import Holder
from tierline.storage.money.reservations import CallId, reserve, settle

pytestmark = pytest.mark.usefixtures("no_budgets")


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
    job_row = bench.job(job)
    assert (job_row["status"], job_row["tier"], job_row["failures"]) == ("queued", "frontier", 0)
    bench.all("UPDATE budget_periods SET reserved_usd = 0 RETURNING id")
    bench.all("UPDATE jobs SET run_after = clock_timestamp() WHERE id = %s RETURNING id", job)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"


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
