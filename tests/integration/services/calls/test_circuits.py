"""A model that does not answer is left alone by all workers, probed by one, then asked again."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import RIGHT, Bench
from tierline.services.calls import calls
from tierline.services.calls.admission import Admission
from tierline.services.jobs.dispatching.dispatch import Dispatch

DOWN = Reply(status=503)


def answer(bench: Bench, **replies: Reply | str) -> None:
    bench.server.answer = lambda body: replies[body["model"]]
    bench.server.calls.clear()


def asked(bench: Bench, model: str = "small") -> int:
    return sum(call.model == model for call in bench.server.calls)


def trip(bench: Bench, version: int) -> None:
    """Jobs of their own fail until the circuit of `small` is open."""
    for _ in range(5):
        bench.run(bench.submit(version))
    assert is_open(bench)
    bench.server.calls.clear()


def is_open(bench: Bench, model: str = "openai:small") -> bool:
    return bool(bench.all("SELECT FROM circuits WHERE model = %s AND open", model))


def let_probe(bench: Bench) -> None:
    """It is time for the next probe, and every process has seen what is."""
    bench.all("UPDATE circuits SET probe_at = clock_timestamp() RETURNING model")
    bench.executor.admission = Admission(bench.pool, bench.executor.settings)


def due(bench: Bench, *jobs: UUID) -> None:
    bench.all("UPDATE jobs SET run_after = created_at WHERE id = ANY(%s) RETURNING id", list(jobs))


def only_tier(bench: Bench, models: str = "[openai:small]") -> int:
    version, _ = bench.apply(more="routing: slm_only", models=models)
    return version


def test_after_five_failures_nobody_asks_the_model(bench: Bench) -> None:
    answer(bench, small=DOWN)
    version = only_tier(bench)
    trip(bench, version)
    job = bench.submit(version)
    bench.run(job)
    assert asked(bench) == 0
    job_row = bench.job(job)
    assert (job_row["status"], job_row["failures"]) == ("queued", 0)
    reason = bench.one("SELECT reason FROM attempts WHERE job_id = %s", job)
    assert reason.startswith("not sent: the server failed")
    assert bench.calls(job)[0][2] == 0


def test_another_process_leaves_it_alone_as_well(bench: Bench) -> None:
    answer(bench, small=DOWN)
    version = only_tier(bench)
    trip(bench, version)
    bench.executor.admission = Admission(bench.pool, bench.executor.settings)
    bench.run(bench.submit(version))
    assert asked(bench) == 0


def test_of_many_workers_one_probes(bench: Bench) -> None:
    answer(bench, small=DOWN)
    version = only_tier(bench)
    trip(bench, version)
    answer(bench, small=Reply(status=503, delay_s=0.3))
    jobs = [bench.submit(version) for _ in range(12)]
    let_probe(bench)
    with ThreadPoolExecutor(12) as workers:
        list(workers.map(bench.executor.run, jobs))
    assert asked(bench) == 1
    assert is_open(bench)
    assert {bench.job(job)["failures"] for job in jobs} == {0}


def test_a_probe_that_is_answered_closes_it_and_all_go_on(bench: Bench) -> None:
    answer(bench, small=DOWN)
    version = only_tier(bench)
    trip(bench, version)
    answer(bench, small=RIGHT)
    let_probe(bench)
    jobs = [bench.submit(version) for _ in range(3)]
    for job in jobs:
        bench.run(job)
    assert not is_open(bench)
    assert {bench.job(job)["status"] for job in jobs} == {"completed"}


def test_in_an_outage_the_next_model_of_the_tier_answers_and_the_reason_is_kept(
    bench: Bench,
) -> None:
    answer(bench, small=DOWN, other=RIGHT)
    version = only_tier(bench, "[openai:small, openai:other]")
    trip(bench, version)
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert asked(bench) == 0
    errors = bench.all("SELECT model, error FROM calls WHERE job_id = %s ORDER BY number", job)
    assert errors[0][0] == "openai:small"
    assert errors[0][1].startswith("provider_error: not sent: the server failed")
    assert errors[1] == ("openai:other", None)


def test_a_job_that_waited_out_its_patience_in_an_outage_goes_to_the_next_tier(
    bench: Bench,
) -> None:
    answer(bench, small=DOWN, large=RIGHT)
    trip(bench, only_tier(bench))
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "queued"
    bench.all(
        "UPDATE jobs SET held_since = held_since - interval '61 s' WHERE id = %s RETURNING id", job
    )
    due(bench, job)
    bench.run(job, 2)
    job_row = bench.job(job)
    assert (job_row["status"], job_row["tier"]) == ("completed", "frontier")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_asked_twice_and_not_a_thousand_times(bench: Bench, status: int) -> None:
    answer(bench, small=Reply(status=status))
    version = only_tier(bench)
    jobs = [bench.submit(version) for _ in range(20)]
    for job in jobs:
        bench.run(job)
    assert asked(bench) == 2
    assert {bench.job(job)["status"] for job in jobs} == {"queued"}


def test_a_rate_limit_is_everybodys(bench: Bench) -> None:
    answer(bench, small=Reply(status=429, headers={"Retry-After": "20"}))
    version = only_tier(bench)
    jobs = [bench.submit(version) for _ in range(10)]
    for job in jobs:
        bench.run(job)
    assert asked(bench) == 1
    assert {bench.verdicts(job)[0] for job in jobs} == {"rate_limited"}


def put_off_all(bench: Bench) -> None:
    """What other tests left in the queue is not due."""
    bench.all("UPDATE jobs SET run_after = 'infinity' WHERE status = 'queued' RETURNING id")


def hinted(bench: Bench, version: int, dispatch: Dispatch) -> int:
    chosen = dispatch.choose(bench.pool, "slm", 64).queue_of
    rows = bench.all(
        "SELECT id FROM jobs WHERE id = ANY(%s) AND feature_version_id = %s", list(chosen), version
    )
    return len(rows)


def test_jobs_that_could_only_wait_are_not_hinted_but_for_one_that_probes(bench: Bench) -> None:
    answer(bench, small=DOWN)
    version = only_tier(bench)
    trip(bench, version)
    put_off_all(bench)
    for _ in range(6):
        bench.submit(version)
    assert hinted(bench, version, Dispatch(4)) == 0
    let_probe(bench)
    probing = Dispatch(4)
    assert hinted(bench, version, probing) == 1
    assert hinted(bench, version, probing) == 0


def test_jobs_with_a_model_that_is_well_are_hinted(bench: Bench) -> None:
    answer(bench, small=DOWN)
    trip(bench, only_tier(bench))
    other = only_tier(bench, "[openai:small, openai:other]")
    bench.submit(other)
    assert hinted(bench, other, Dispatch(4)) == 1


def test_a_job_that_was_held_back_for_too_long_goes_out_to_fail(bench: Bench) -> None:
    answer(bench, small=Reply(status=401))
    version = only_tier(bench)
    bench.run(bench.submit(version), 2)
    put_off_all(bench)
    old, young = bench.submit(version), bench.submit(version)
    bench.all(
        "UPDATE circuits SET opened_at = opened_at - interval '25 h' WHERE open RETURNING model"
    )
    assert hinted(bench, version, Dispatch(4)) == 0
    bench.all(
        "UPDATE jobs SET run_after = run_after - interval '24 h 1 s' WHERE id = %s RETURNING id",
        old,
    )
    assert hinted(bench, version, Dispatch(4)) == 1
    bench.executor.admission = Admission(bench.pool, bench.executor.settings)
    bench.run(old)
    assert bench.job(old)["status"] == "failed"
    error = bench.one("SELECT error_message FROM jobs WHERE id = %s", old)
    assert "it waited for 24 h" in error
    assert bench.job(young)["status"] == "queued"


def test_a_job_that_was_due_for_long_waits_anew_when_its_model_goes_away(bench: Bench) -> None:
    answer(bench, small=Reply(status=401))
    version = only_tier(bench)
    bench.run(bench.submit(version), 2)
    put_off_all(bench)
    job = bench.submit(version)
    bench.all(
        "UPDATE jobs SET run_after = run_after - interval '30 h' WHERE id = %s RETURNING id", job
    )
    assert hinted(bench, version, Dispatch(4)) == 0


def test_an_error_of_ours_over_a_probe_leaves_the_next_one_to_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(bench, small=DOWN)
    version = only_tier(bench)
    trip(bench, version)
    let_probe(bench)
    monkeypatch.setattr(calls, "provider", lambda _: Broken())
    bench.run(bench.submit(version))
    monkeypatch.undo()
    answer(bench, small=RIGHT)
    bench.executor.admission = Admission(bench.pool, bench.executor.settings)
    job = bench.submit(version)
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert not is_open(bench)


class Broken:
    """A provider's file with a mistake in it."""

    def complete(self, _: object) -> None:
        raise KeyError("choices")
