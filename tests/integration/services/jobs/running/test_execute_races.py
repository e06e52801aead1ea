"""An attempt whose job is taken, cancelled or cut off by others meanwhile."""

import threading
from typing import Any

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import RIGHT, Bench, by_model
from tests.support.waiting import DEADLINE_S
from tierline.base.ids import new_id
from tierline.services.batches.batch import Opening, accept_part, open_batch
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.running import settle as settling
from tierline.storage.batches.batches import close_as_cancelled


def test_a_cancel_during_the_call_ends_a_job_whose_answer_fails(bench: Bench) -> None:
    called = threading.Event()
    answer = threading.Event()

    def slow(_: Any) -> str:
        called.set()
        answer.wait(DEADLINE_S)
        return "{}"

    bench.server.answer = slow
    version, _ = bench.apply()
    job = bench.submit(version)
    running = threading.Thread(target=bench.run, args=(job,))
    running.start()
    assert called.wait(DEADLINE_S)
    with bench.pool.connection() as connection:
        assert cancel(connection, bench.account, job) == "in_progress"
    answer.set()
    running.join(DEADLINE_S)
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
        thread.join(DEADLINE_S)
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


def test_a_hint_for_a_job_that_does_not_exist_does_nothing(bench: Bench) -> None:
    before = len(bench.server.calls)
    bench.executor.run(new_id())
    assert len(bench.server.calls) == before


def test_a_job_of_a_cancelled_batch_is_ended_and_calls_no_model(bench: Bench) -> None:
    _, feature = bench.apply()
    line = b'{"input": {"text": "it costs 12.50"}}\n'
    with bench.pool.connection() as connection:
        row, _ = open_batch(connection, bench.account, Opening(feature.name))
        accept_part(connection, bench.account, row["id"], 1, line)
        assert close_as_cancelled(connection, bench.account, row["id"])
    job = bench.one("SELECT id FROM jobs WHERE batch_id = %s", row["id"])
    bench.run(job)
    assert bench.job(job)["status"] == "cancelled"
    assert bench.calls(job) == []
