"""kill -9 of a worker in a judge's call, with a dispatcher and workers as processes."""

import os
import time
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from tests.support.database.rows import add_feature
from tests.support.fake_servers.model_server import Reply
from tests.support.processes.started import process
from tests.support.samples.judged_feature import SUMMARY, model
from tests.support.scenes.bench import Bench, bench, module_bench
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.features.parse import parse_feature
from tierline.services.evidence.evaluation.judgements import keep_judged

__all__ = ["bench", "module_bench"]

LEASE_S = 5.0  # the dispatcher looks once a second, and has to see it still in each look


def hangs_for_a_judge(body: dict[str, Any]) -> Reply | str:
    return Reply(delay_s=600.0) if body["model"] == "judge" else model(body)


def asked(bench: Bench) -> int:
    """How often the judge was."""
    return sum(call.model == "judge" for call in bench.server.calls)


def judging(bench: Bench) -> UUID:
    """A judge's job that waits: of the answer to a job that escalated."""
    bench.server.answer = hangs_for_a_judge
    with bench.pool.connection() as connection:
        version = add_feature(connection, parse_feature(SUMMARY.format(name="summary")))
    job = bench.submit(version, "an easy one: 7 euros")
    bench.run(job, 2)
    assert keep_judged(bench.pool, time.monotonic() + DEADLINE_S) == 1
    job_id: UUID = bench.one("SELECT judge_job_id FROM outcomes WHERE job_id = %s", job)
    return job_id


def test_a_killed_worker_loses_no_judge_and_no_call(bench: Bench) -> None:
    job = judging(bench)
    environment = {
        **os.environ,
        "TIERLINE_LEASE_S": str(LEASE_S),
        "TIERLINE_BEAT_S": "0.3",
        "TIERLINE_WORKER_THREADS": "2",
    }

    def worker(name: str) -> tuple[str, ...]:
        queues = "deeper-analysis,deeper-analysis-backfill"
        return ("-m", "workers", "--queues", queues, "--name", name)

    with ExitStack() as stack:
        stack.enter_context(process(("-m", "workers.dispatcher"), environment))
        with process(worker("first"), environment) as first:
            wait_until(lambda: asked(bench), DEADLINE_S, "the judge to be asked")
            first.kill()
            first.wait()
        bench.server.answer = model
        stack.enter_context(process(worker("second"), environment))
        wait_until(
            lambda: bench.job(job)["status"] == "completed", DEADLINE_S, "the judge's job to end"
        )
    keep_judged(bench.pool, time.monotonic() + DEADLINE_S)
    outcome = bench.one(
        "SELECT judged_same, judge_tries FROM outcomes WHERE judge_job_id = %s", job
    )
    assert outcome == (True, 1)
    assert bench.verdicts(job) == ["worker_lost", "passed"]
    calls = bench.all(
        "SELECT attempt, number, purpose, settled_at IS NOT NULL FROM calls WHERE job_id = %s"
        " ORDER BY attempt, number",
        job,
    )
    # The call that was cut stays in the books, its cost unknown; the server saw as many as these.
    assert calls == [(1, 1, "judge", False), (2, 1, "judge", True), (2, 2, "judge", True)]
    assert asked(bench) == len(calls)
