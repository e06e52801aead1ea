"""Jobs that their workers do not end: lost leases, releases, deadlines, cancels."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import PRICED, RIGHT, Bench, by_model
from tests.support.waiting import DEADLINE_S
from tierline.base.errors import NotFound
from tierline.base.ids import new_id
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.running.recover import expire_overdue, recover_lost, release
from tierline.storage.jobs import claims

QUEUES = ["slm", "deeper-analysis", "quarantine"]


def take(bench: Bench, job: UUID) -> UUID:
    """Claim the job as a worker that then does nothing; its token."""
    token = uuid4()
    with bench.pool.connection() as connection:
        assert claims.claim(connection, job, token, QUEUES, "lost") is not None
    return token


def test_a_lost_workers_job_is_taken_up_again_and_its_attempt_says_so(bench: Bench) -> None:
    bench.server.answer = by_model(small=RIGHT)
    version, _ = bench.apply()
    job = bench.submit(version)
    assert recover_lost(bench.pool, {take(bench, job): job}) == [job]
    assert bench.verdicts(job) == ["worker_lost"]
    bench.run(job)
    assert bench.verdicts(job) == ["worker_lost", "passed"]
    assert bench.calls(job)[0] == ("answer", "openai:small", None)  # made or not: unknown


def test_a_job_that_loses_every_worker_runs_alone_and_then_fails(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version)
    recover_lost(bench.pool, {take(bench, job): job})
    recover_lost(bench.pool, {take(bench, job): job})
    assert bench.job(job)["queue"] == "quarantine"
    recover_lost(bench.pool, {take(bench, job): job})
    row = bench.job(job)
    assert (row["status"], row["error_code"]) == ("failed", "worker_lost")


def test_the_answer_of_a_worker_that_was_given_up_is_dropped_and_its_cost_is_booked(
    bench: Bench,
) -> None:
    called, answer = threading.Event(), threading.Event()

    def slow_once(_: Any) -> str:
        if not called.is_set():
            called.set()
            answer.wait(DEADLINE_S)
            return '{"amount": 999}'
        return RIGHT

    bench.server.answer = slow_once
    version, _ = bench.apply(slm=PRICED)
    job = bench.submit(version)
    late = threading.Thread(target=bench.run, args=(job,))
    late.start()
    assert called.wait(DEADLINE_S)
    token = bench.one("SELECT claim_token FROM jobs WHERE id = %s", job)
    recover_lost(bench.pool, {token: job})
    answer.set()
    late.join(DEADLINE_S)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.all("SELECT output FROM answers WHERE job_id = %s", job) == [({"amount": 12.5},)]
    assert bench.verdicts(job) == ["worker_lost", "passed"]
    assert [cost for _, _, cost in bench.calls(job)] == [Decimal("0.000014")] * 2


def test_of_many_that_find_a_lease_lost_one_takes_the_job_back(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version)
    token = take(bench, job)
    start = threading.Barrier(8)

    def race(_: int) -> list[UUID]:
        start.wait()
        return recover_lost(bench.pool, {token: job})

    with ThreadPoolExecutor(8) as threads:
        moved = [found for found in threads.map(race, range(8)) if found]
    assert moved == [[job]]
    assert bench.job(job)["losses"] == 1


def test_a_finish_and_a_recovery_at_once_leave_one_end(bench: Bench) -> None:
    version, _ = bench.apply()
    bench.server.answer = by_model(small=Reply(text=RIGHT, delay_s=0.01))
    for _ in range(20):
        job = bench.submit(version)
        worker = threading.Thread(target=bench.run, args=(job,))
        worker.start()
        token = None
        while token is None:
            token = bench.one("SELECT claim_token FROM jobs WHERE id = %s", job)
        recover_lost(bench.pool, {token: job})
        worker.join(DEADLINE_S)
        bench.run(job)
        assert bench.job(job)["status"] == "completed"
        assert bench.one("SELECT count(*) FROM answers WHERE job_id = %s", job) == 1


def test_a_released_job_waits_again_and_counts_no_loss(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version)
    assert release(bench.pool, {take(bench, job): job}) == [job]
    row = bench.job(job)
    assert (row["status"], row["losses"]) == ("queued", 0)
    assert bench.verdicts(job) == ["superseded"]


def test_a_worker_that_stops_gives_back_no_job_that_another_one_claimed(bench: Bench) -> None:
    version, _ = bench.apply()
    waits, runs = bench.submit(version), bench.submit(version)
    take(bench, runs)
    assert release(bench.pool, {uuid4(): waits, uuid4(): runs}) == []
    assert bench.job(waits)["attempts"] == 0
    assert bench.job(runs)["status"] == "in_progress"


def test_a_waiting_job_past_its_deadline_expires(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version, deadline_at="2020-01-01T00:00:00Z")
    bench.run(job)  # nobody takes it
    assert expire_overdue(bench.pool) == [job]
    assert bench.job(job)["status"] == "expired"


def test_a_waiting_job_is_cancelled_at_once(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version)
    with bench.pool.connection() as connection:
        assert cancel(connection, bench.account, job) == "cancelled"
        assert cancel(connection, bench.account, job) == "cancelled"  # again changes nothing
    bench.run(job)
    assert bench.job(job)["attempts"] == 0


def test_another_accounts_job_cannot_be_cancelled(bench: Bench) -> None:
    version, _ = bench.apply()
    job = bench.submit(version)
    with bench.pool.connection() as connection, pytest.raises(NotFound):
        cancel(connection, bench.account + 1, job)
    with bench.pool.connection() as connection, pytest.raises(NotFound):
        cancel(connection, bench.account, new_id())


def test_a_cancel_and_a_claim_at_once_leave_a_job_that_is_one_or_the_other(bench: Bench) -> None:
    version, _ = bench.apply()
    bench.server.answer = by_model(small=RIGHT)
    for _ in range(20):
        job = bench.submit(version)
        start = threading.Barrier(2)

        def run(job: UUID = job, start: threading.Barrier = start) -> None:
            start.wait()
            bench.run(job)

        worker = threading.Thread(target=run)
        worker.start()
        start.wait()
        with bench.pool.connection() as connection:
            cancel(connection, bench.account, job)
        worker.join(DEADLINE_S)
        row = bench.job(job)
        if row["status"] == "cancelled":
            assert row["attempts"] == 0
        else:
            assert row["status"] == "completed"
