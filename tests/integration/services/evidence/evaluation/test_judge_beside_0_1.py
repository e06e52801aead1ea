"""A judge's job while processes of the release before still run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.database.rows import add_feature
from tests.support.processes import previous_release
from tests.support.samples.judged_feature import SUMMARY, model
from tests.support.scenes.bench import Bench
from tierline.base.settings import settings
from tierline.features.parse import parse_feature
from tierline.services.evidence.evaluation.judgements import keep_judged

# A dispatcher's choice, a sweep's and a worker's claim of the release before.
BEFORE = """
import json, sys, uuid
import psycopg
from psycopg_pool import ConnectionPool
from tierline.services.dispatch import Dispatch
from tierline.storage import claims, judgements

with ConnectionPool(sys.argv[1], kwargs={"autocommit": True}, open=True) as pool:
    hinted = Dispatch(4).choose(pool, "deeper-analysis", 4).queue_of
    with pool.connection() as connection:
        due = judgements.take_due(connection, 100)
        try:
            lane, job = ["deeper-analysis-backfill"], uuid.UUID(sys.argv[2])
            claimed = claims.claim(connection, job, uuid.uuid4(), lane, "before") is not None
        except psycopg.IntegrityError:
            claimed = False
print(json.dumps({"hinted": [str(id) for id in hinted], "due": len(due), "claimed": claimed}))
"""


@pytest.mark.skipif(previous_release.missing() is not None, reason=str(previous_release.missing()))
def test_the_release_before_hints_it_and_neither_runs_it_nor_judges_by_itself(
    bench: Bench, tmp_path: Path
) -> None:
    bench.server.answer = model
    with bench.pool.connection() as connection:
        version = add_feature(connection, parse_feature(SUMMARY.format(name="summary")))
    job = bench.submit(version, "an easy one: 7 euros")
    bench.run(job, 2)
    assert keep_judged(bench.pool, time.monotonic() + 60) == 1
    judging = bench.one("SELECT judge_job_id FROM outcomes WHERE job_id = %s", job)
    root = previous_release.unpack(tmp_path)
    process = subprocess.run(
        [sys.executable, "-c", BEFORE, settings().database, str(judging)],
        env={**os.environ, **previous_release.python_path(root)},
        cwd=root,
        check=True,
        capture_output=True,
    )
    assert json.loads(process.stdout) == {"hinted": [str(judging)], "due": 0, "claimed": False}
    assert bench.verdicts(judging) == []
    bench.executor.queues = (*bench.executor.queues, "deeper-analysis-backfill")
    bench.run(judging)
    assert bench.job(judging)["status"] == "completed"
