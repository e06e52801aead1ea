"""`python -m benchmarks.throughput`: the product and two yardsticks in turn, and their ratios.

Each side finds its whole backlog waiting, has the same number of calls in flight over the same
number of processes, the same Postgres, broker and model server, and is measured over the same
window after its workers are warm.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from benchmarks.stage import Stage, model_server, process, stage
from benchmarks.throughput import yardstick_tables
from tests.support.rows import add_account, add_feature, two_tiers
from tierline.ids import new_id

PROCESSES = 2
WARM = 500  # jobs done before the window begins
Connection = psycopg.Connection[Any]


def fill_product(connection: Connection, jobs: int) -> None:
    """The backlog of the product: one account's jobs, with their inputs."""
    account = add_account(connection, f"bench-{new_id()}")
    feature = two_tiers(f"echo-{new_id().hex[-8:]}")
    version = add_feature(connection, feature)
    ids = [new_id() for _ in range(jobs)]
    with connection.cursor() as cursor:
        with cursor.copy(
            "COPY jobs (id, account_id, feature_version_id, status, tier, tier_index, queue)"
            " FROM STDIN"
        ) as copy:
            for one in ids:
                copy.write_row((one, account, version, "queued", "slm", 0, "slm"))
        with cursor.copy("COPY job_requests (job_id, input) FROM STDIN") as copy:
            for one in ids:
                copy.write_row((one, '{"text": "hello"}'))


def product(on: Stage, connection: Connection, url: str, jobs: int, flight: int) -> Iterator[str]:
    """Run the product on a fresh backlog; yields the statement that counts what is done."""
    connection.execute("TRUNCATE jobs, job_requests, attempts, calls, answers")
    fill_product(connection, jobs)
    # No account may hold the last eighth of a queue's threads: as many more are started, so that
    # the same number of calls is in flight on every side.
    threads = -(-flight * 8 // 7) // PROCESSES + 1
    environment = on.environment(OPENAI_BASE_URL=url, TIERLINE_LOG_FORMAT="json")
    with contextlib.ExitStack() as running:
        running.enter_context(process(["-m", "workers.dispatcher"], environment))
        for number in range(PROCESSES):
            arguments = ["-m", "workers", "--queues", "slm,slm-backfill"]
            arguments += ["--name", f"slm-{number}", "--threads", str(threads)]
            running.enter_context(process(arguments, environment))
        yield "SELECT count(*) FROM jobs WHERE status = 'completed'"


def by_hand(task: str, queue: str) -> Callable[[Stage, Connection, str, int, int], Iterator[str]]:
    """Run one of the yardsticks on a fresh backlog of rows and messages."""

    def run(on: Stage, connection: Connection, url: str, jobs: int, flight: int) -> Iterator[str]:
        connection.execute(yardstick_tables.TABLES)
        ids = yardstick_tables.fill(connection, jobs)
        environment = on.environment(OPENAI_BASE_URL=url)
        yardstick_tables.publish(environment, task, queue, ids)
        with contextlib.ExitStack() as running:
            for number in range(PROCESSES):
                arguments = ["-m", "celery", "-A", "benchmarks.throughput.yardstick", "worker"]
                arguments += ["--pool=threads", f"--concurrency={flight // PROCESSES}"]
                arguments += ["-Q", queue, "-n", f"yard-{number}@localhost", "--loglevel=ERROR"]
                arguments += ["--without-gossip", "--without-mingle", "--task-events"]
                running.enter_context(process(arguments, environment))
            yield "SELECT count(*) FROM yard_jobs WHERE status = 'completed'"

    return run


SIDES = {
    "tierline": product,
    "plain": by_hand("yard.plain", "yard-plain"),
    "strong": by_hand("yard.strong", "yard-strong"),
}


def rate(side: str, on: Stage, url: str, jobs: int, flight: int, window_s: float) -> float:
    """Jobs a second of one side over a window that begins when it is warm."""
    with psycopg.connect(on.database_url, autocommit=True) as connection:
        with contextlib.contextmanager(SIDES[side])(on, connection, url, jobs, flight) as count:

            def done() -> int:
                row = connection.execute(count).fetchone()
                assert row is not None
                return int(row[0])

            deadline = time.monotonic() + 60
            while done() < WARM:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{side}: nothing is done after a minute")
                time.sleep(0.05)
            before, started = done(), time.monotonic()
            time.sleep(window_s)
            after, ended = done(), time.monotonic()
            if after >= jobs:
                raise SystemExit(f"{side}: the backlog ran dry; take more --jobs")
        return (after - before) / (ended - started)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--window-s", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    with stage() as on, model_server(arguments.latency_ms) as url:
        for number in range(arguments.rounds):
            for side in SIDES:
                found = rate(side, on, url, arguments.jobs, arguments.in_flight, arguments.window_s)
                rates[side].append(found)
                print(f"round {number + 1}: {side:9} {found:7.1f} jobs/s", file=sys.stderr)
    ratios = {
        side: statistics.median(
            ours / theirs for ours, theirs in zip(rates["tierline"], rates[side], strict=True)
        )
        for side in ("plain", "strong")
    }
    if arguments.json:
        print(json.dumps({"jobs_per_s": rates, "ratios": ratios}))
    else:
        print(f"throughput, {arguments.in_flight} in flight, {arguments.jobs} waiting:")
        for side, found in ratios.items():
            print(f"  tierline / {side}: {found:.2f} (median of {arguments.rounds} rounds)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
