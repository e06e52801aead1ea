"""`python -m benchmarks.throughput`: the product and two yardsticks in turn, and their ratios.

Each side finds its whole backlog waiting, has the same number of threads over the same number of
processes, the same Postgres, broker and model server, and is measured over the same window after
its workers are warm. No side can have more calls in flight than it has threads.

The product's backlog belongs to four accounts: it keeps the last eighth of a queue's threads from
any one account, so that one alone would never have all of them at work.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import psycopg

from benchmarks.backlog import EMPTY, fill
from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.stage import Stage, model_server, process, stage
from benchmarks.throughput import yardstick_tables
from benchmarks.throughput.cpu import between, seconds
from tests.support.rows import add_account, add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.base.ids import new_id

WANTED = {"plain": 1.0, "strong": 0.85}
PROCESSES = 2
ACCOUNTS = 4
LOOK_S = 0.25  # between two looks at how many jobs are in flight
WARM = 500  # jobs done before the window begins
Connection = psycopg.Connection[Any]


def product(on: Stage, connection: Connection, url: str, jobs: int, flight: int) -> Iterator[str]:
    """Run the product on a fresh backlog; yields the table that tells."""
    connection.execute(EMPTY)
    accounts = [add_account(connection, f"bench-{new_id()}") for _ in range(ACCOUNTS)]
    version = add_feature(connection, two_tiers(f"echo-{new_id().hex[-8:]}"))
    fill(connection, accounts, version, jobs)
    environment = on.environment(OPENAI_BASE_URL=url, TIERLINE_LOG_FORMAT="json")
    with contextlib.ExitStack() as running:
        running.enter_context(process(["-m", "workers.dispatcher"], environment))
        for number in range(PROCESSES):
            arguments = ["-m", "workers", "--queues", "slm,slm-backfill"]
            arguments += ["--name", f"slm-{number}", "--threads", str(flight // PROCESSES)]
            running.enter_context(process(arguments, environment))
        yield "jobs"


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
            yield "yard_jobs"

    return run


SIDES = {
    "tierline": product,
    "plain": by_hand("yard.plain", "yard-plain"),
    "strong": by_hand("yard.strong", "yard-strong"),
}


@dataclass(frozen=True)
class Window:
    """What was seen of one side once it was warm."""

    jobs_per_s: float
    in_flight: float  # claimed and not finished, on average
    cpu_ms: Mapping[str, float]  # processor time of a job, by the kind of process


def measure(side: str, on: Stage, url: str, jobs: int, flight: int, window_s: float) -> Window:
    """One side over a window that begins when it is warm."""
    with (
        psycopg.connect(on.database_url, autocommit=True) as connection,
        contextlib.contextmanager(SIDES[side])(on, connection, url, jobs, flight) as table,
    ):

        def count(status: str) -> int:
            row = connection.execute(
                f"SELECT count(*) FROM {table} WHERE status = '{status}'"
            ).fetchone()
            assert row is not None
            return int(row[0])

        wait_until(lambda: count("completed") >= WARM, 60, f"{side} to be warm", 0.05)
        cpu, before, started = seconds(), count("completed"), time.monotonic()
        in_flight: list[int] = []
        while time.monotonic() < started + window_s:
            in_flight.append(count("in_progress"))
            time.sleep(LOOK_S)
        spent, after, ended = between(cpu, seconds()), count("completed"), time.monotonic()
        if after >= jobs:
            raise SystemExit(f"{side}: the backlog ran dry; take more --jobs")
    done = after - before
    cpu_ms = {kind: used * 1000 / done for kind, used in spent.items()}
    return Window(done / (ended - started), mean(in_flight), cpu_ms)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--window-s", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    arguments = read_arguments(parser, {"rounds": 2, "window_s": 4.0, "jobs": 10_000})
    found: dict[str, list[Window]] = {side: [] for side in SIDES}
    with stage() as on, model_server(arguments.latency_ms) as url:
        for number in range(arguments.rounds):
            for side, windows in found.items():
                windows.append(
                    measure(side, on, url, arguments.jobs, arguments.in_flight, arguments.window_s)
                )
                progress(
                    f"round {number + 1}: {side:9} {windows[-1].jobs_per_s:7.1f} jobs/s"
                    f" with {windows[-1].in_flight:.0f} in flight"
                )
    return hand_over(_figures(found), as_json=arguments.json)


def _figures(found: dict[str, list[Window]]) -> list[Figure]:
    figures = []
    for side, wanted in WANTED.items():
        ratios = [
            ours.jobs_per_s / theirs.jobs_per_s
            for ours, theirs in zip(found["tierline"], found[side], strict=True)
        ]
        figures.append(
            Figure(
                f"throughput / {side} Celery task",
                median(ratios),
                "",
                wanted,
                low=min(ratios),
                high=max(ratios),
            )
        )
    for side, windows in found.items():
        rates = [window.jobs_per_s for window in windows]
        figures.append(
            Figure(f"  {side}", median(rates), "jobs/s", low=min(rates), high=max(rates))
        )
        in_flight = [window.in_flight for window in windows]
        figures.append(
            Figure(
                f"  {side}, in flight",
                median(in_flight),
                "jobs",
                low=min(in_flight),
                high=max(in_flight),
            )
        )
    for side, windows in found.items():
        totals = [sum(window.cpu_ms.values()) for window in windows]
        figures.append(
            Figure(
                f"  {side}, processor time of a job",
                median(totals),
                "ms",
                low=min(totals),
                high=max(totals),
            )
        )
        for kind in sorted({kind for window in windows for kind in window.cpu_ms}):
            spent = median(window.cpu_ms.get(kind, 0.0) for window in windows)
            if spent:
                figures.append(Figure(f"    {kind}", spent, "ms"))
    return figures


if __name__ == "__main__":
    sys.exit(main())
