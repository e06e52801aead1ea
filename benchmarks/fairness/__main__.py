"""`python -m benchmarks.fairness`: a quiet account beside a flood, and beside a backfill.

The product runs as it is deployed: API, dispatcher and two workers, with a model that takes half a
second. A quiet caller sends a job now and then, by the clock and whatever became of the one before,
in five settings: alone; beside another account's flood; beside a backfill of its own account;
beside backfills of four other accounts; and beside as long a backlog of those four, none of which
meets its limit, so that every thread is at work: that is the throughput without the rule that keeps
a share of the threads free.

A latency begins before the POST, on this process's clock, and ends at the row's `completed_at`, on
Postgres's: both are the machine's one clock. Throughput counts all jobs that were completed between
the quiet caller's first POST and its last.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg

from benchmarks.backlog import EMPTY, fill
from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, of_rounds, progress, share
from benchmarks.stage import Stage, api, model_server, process, stage
from tests.support.database.rows import add_account, add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.services.accounts.accounts import create_account, create_key

TARGET_P95 = 1.5  # times the p95 alone
TARGET_KEPT = 0.85  # of the throughput without the rule
PROCESSES = 2
ONE = {"feature": "echo", "input": {"text": "hello"}}
WARM = 5  # quiet jobs before anything counts
QUIET = "quiet"
ALONE, FLOOD, BACKFILL = "alone", "beside a flood", "beside a backfill"
BACKFILLS, SPREAD = "beside four backfills", "without the rule"
SETTINGS = (ALONE, FLOOD, BACKFILL, BACKFILLS, SPREAD)
Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Measured:
    """What one setting came to."""

    latencies_s: Sequence[float]  # of the quiet caller's jobs, sorted
    jobs_per_s: float  # everybody's

    @property
    def p95_s(self) -> float:
        return share(self.latencies_s, 0.95)


@dataclass
class Ground:
    """What all settings stand on."""

    on: Stage
    connection: Connection
    client: httpx.Client
    model_url: str
    version: int
    quiet: int
    others: Sequence[int]

    @contextlib.contextmanager
    def product(self, threads: int) -> Iterator[None]:
        """Dispatcher and workers."""
        environment = self.on.environment(
            OPENAI_BASE_URL=self.model_url, TIERLINE_LOG_FORMAT="json"
        )
        with contextlib.ExitStack() as running:
            running.enter_context(process(["-m", "workers.dispatcher"], environment))
            for number in range(PROCESSES):
                arguments = ["-m", "workers", "--queues", "slm,slm-backfill"]
                arguments += ["--name", f"slm-{number}", "--threads", str(threads // PROCESSES)]
                running.enter_context(process(arguments, environment))
            yield

    def submit(self) -> UUID:
        response = self.client.post("/v1/jobs", json=ONE)
        response.raise_for_status()
        return UUID(response.json()["id"])

    def completed(self, job_ids: Sequence[UUID]) -> dict[UUID, float]:
        """When each was completed, as seconds since the epoch."""
        rows = self.connection.execute(
            "SELECT id, completed_at FROM jobs WHERE id = ANY(%s) AND status = 'completed'",
            (list(job_ids),),
        )
        return {job_id: at.timestamp() for job_id, at in rows}

    def wait_for(self, job_ids: Sequence[UUID]) -> dict[UUID, float]:
        wait_until(lambda: len(self.completed(job_ids)) == len(job_ids), 120, "the quiet jobs", 0.2)
        return self.completed(job_ids)


def measure(
    ground: Ground, setting: str, backlog: int, threads: int, jobs: int, s: float
) -> Measured:
    """One setting: `jobs` quiet jobs, one every `s` seconds."""
    ground.connection.execute(EMPTY)
    if setting == FLOOD:
        fill(ground.connection, ground.others[:1], ground.version, backlog)
    elif setting == BACKFILL:
        fill(ground.connection, [ground.quiet], ground.version, backlog, backfill=True)
    elif setting == BACKFILLS:
        fill(ground.connection, ground.others, ground.version, backlog, backfill=True)
    elif setting == SPREAD:
        fill(ground.connection, ground.others, ground.version, backlog)
    with ground.product(threads):
        ground.wait_for([ground.submit() for _ in range(WARM)])
        began_s = time.time()
        sent: dict[UUID, float] = {}
        for number in range(jobs):
            time.sleep(max(0.0, began_s + number * s - time.time()))
            at_s = time.time()
            sent[ground.submit()] = at_s
        ended_s = time.time()
        completed = ground.wait_for(list(sent))
        row = ground.connection.execute(
            "SELECT count(*) FROM jobs WHERE status = 'completed' AND"
            " completed_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)",
            (began_s, ended_s),
        ).fetchone()
    assert row is not None
    latencies = sorted(completed[job_id] - at_s for job_id, at_s in sent.items())
    return Measured(latencies, row[0] / (ended_s - began_s))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backlog", type=int, default=50_000, help="jobs of the flood")
    parser.add_argument("--threads", type=int, default=16, help="of all workers together")
    parser.add_argument("--latency-ms", type=float, default=500.0, help="what the model takes")
    parser.add_argument("--jobs", type=int, default=80, help="of the quiet account in a setting")
    parser.add_argument("--every-s", type=float, default=0.4, help="between two of them")
    arguments = read_arguments(parser, {"rounds": 1, "jobs": 40})
    by_setting: dict[str, list[Measured]] = {setting: [] for setting in SETTINGS}
    with (
        stage() as on,
        model_server(arguments.latency_ms) as model_url,
        psycopg.connect(on.database_url, autocommit=True) as connection,
        api(on.environment()) as url,
    ):
        version = add_feature(connection, two_tiers("echo"))
        quiet = int(create_account(connection, QUIET)["id"])
        headers = {"Authorization": f"Bearer {create_key(connection, QUIET).key}"}
        others = [add_account(connection, f"other-{number}") for number in range(4)]
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            ground = Ground(on, connection, client, model_url, version, quiet, others)
            for number in range(arguments.rounds):
                for setting, seen in by_setting.items():
                    seen.append(
                        measure(
                            ground,
                            setting,
                            arguments.backlog,
                            arguments.threads,
                            arguments.jobs,
                            arguments.every_s,
                        )
                    )
                    progress(
                        f"round {number + 1}: {setting}: quiet p50"
                        f" {share(seen[-1].latencies_s, 0.5) * 1000:.0f} ms,"
                        f" p95 {seen[-1].p95_s * 1000:.0f} ms,"
                        f" {seen[-1].jobs_per_s:.1f} jobs/s in all"
                    )
    return hand_over(_figures(by_setting), as_json=arguments.json)


def _figures(by_setting: dict[str, list[Measured]]) -> list[Figure]:
    figures = []
    for setting in (FLOOD, BACKFILL, BACKFILLS):
        slower = [
            one.p95_s / alone.p95_s
            for one, alone in zip(by_setting[setting], by_setting[ALONE], strict=True)
        ]
        kept = [
            one.jobs_per_s / spread.jobs_per_s
            for one, spread in zip(by_setting[setting], by_setting[SPREAD], strict=True)
        ]
        figures += [
            of_rounds(f"quiet jobs {setting}, p95 / alone", slower, "", TARGET_P95, at_most=True),
            of_rounds(f"  throughput {setting} / without the rule", kept, "", TARGET_KEPT),
        ]
    for setting, seen in by_setting.items():
        p50 = [share(one.latencies_s, 0.5) * 1000 for one in seen]
        figures += [
            of_rounds(f"  quiet jobs {setting}, p50", p50, "ms"),
            of_rounds(f"  quiet jobs {setting}, p95", [one.p95_s * 1000 for one in seen], "ms"),
        ]
        if setting != ALONE:
            rates = [one.jobs_per_s for one in seen]
            figures.append(of_rounds(f"  all jobs {setting}", rates, "jobs/s"))
    return figures


if __name__ == "__main__":
    sys.exit(main())
