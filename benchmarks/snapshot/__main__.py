"""`python -m benchmarks snapshot`: a job's steps while somebody holds a snapshot open.

A transaction that reads (with --pg-dump a real pg_dump with a slow reader) keeps Postgres from
removing any row version that is younger than it. Meanwhile --jobs jobs are chosen, claimed and
finished. Each step is timed at the beginning and at the end, one at a time, by the product's own
functions; what is judged is the ratio. A second database of the same server, where nobody holds a
snapshot, is timed in the same minutes: its ratio tells how far the machine itself has changed.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import psycopg

from benchmarks.backlog import fill
from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.history import Past, bytes_of, fill_past
from benchmarks.stage import stage
from benchmarks.steps import STEPS, TEXT, Steps, steps
from tests.support.database import snapshots
from tests.support.database.rows import add_account, add_feature, two_tiers
from tierline.stack.embedded import postgres
from tierline.storage.db.migrate import upgrade
from tierline.storage.db.ownership import make_owned

TARGET = 1.5  # times what a step takes at the beginning
ACCOUNTS = 8
PART = 256  # jobs that wait at once
THREADS = 4  # that claim and finish while nothing is timed
LOOKS = 4  # times that the steps are timed, after the first
DEAD = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables"
Times = dict[str, float]


class Ground:
    """One database: its accounts, and its steps."""

    def __init__(self, url: str, accounts: list[int], version: int, taken: Steps) -> None:
        self.url = url
        self.accounts = accounts
        self.version = version
        self.steps = taken

    def pass_jobs(self, jobs: int, threads: ThreadPoolExecutor) -> None:
        """So many jobs wait, are chosen, claimed and finished, several at once and not timed."""
        while jobs > 0:
            with self.steps.pool.connection() as connection:
                fill(connection, self.accounts, self.version, PART, text=TEXT)
            left = PART
            while left:
                chosen = self.steps.choose(PART)
                if not chosen:
                    raise SystemExit(f"{left} jobs wait, and none is chosen")
                for _ in threads.map(lambda one: self.steps.finish(self.steps.claim(one)), chosen):
                    pass
                left -= len(chosen)
            jobs -= PART
        self.steps.take()


def prepare(url: str, finished: int) -> tuple[list[int], int]:
    """A migrated database with finished jobs; its accounts and the version of its feature."""
    upgrade(url)
    now = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        version = add_feature(connection, two_tiers())
        accounts = [add_account(connection, f"account-{number}") for number in range(ACCOUNTS)]
    begin, end = now - timedelta(days=2), now - timedelta(minutes=1)
    fill_past(url, Past(finished, accounts, version, begin, end))
    return accounts, version


def timed(grounds: Sequence[Ground], cycles: int) -> list[Times]:
    """The median of each step in seconds, on each database. They take turns."""
    for _ in range(cycles):
        for on in grounds:
            on.steps.cycle(on.accounts, 16)
    return [{step: median(took) for step, took in on.steps.take().items()} for on in grounds]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshot", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="that pass meanwhile")
    parser.add_argument(
        "--finished", type=int, default=20_000, help="jobs before, so that a dump takes its time"
    )
    parser.add_argument("--pg-dump", action="store_true", help="a pg_dump holds the snapshot")
    parser.add_argument("--cycles", type=int, default=20, help="of 16 jobs each time it is timed")
    arguments = read_arguments(parser, {"jobs": 10_000, "cycles": 10})
    hold = snapshots.pg_dump if arguments.pg_dump else snapshots.transaction
    with stage() as on:
        with psycopg.connect(
            postgres.admin_url(on.servers.home, "postgres"), autocommit=True
        ) as server:
            make_owned(server, "other", postgres.APP)
        urls = (on.database_url, postgres.url(on.servers.home, "other"))
        prepared = [prepare(url, arguments.finished) for url in urls]
        with (
            steps(urls[0], prepared[0][1]) as held_steps,
            steps(urls[1], prepared[1][1]) as other_steps,
            psycopg.connect(on.admin_url, autocommit=True) as admin,
            ThreadPoolExecutor(THREADS) as threads,
        ):
            held, other = (
                Ground(url, *made, taken)
                for url, made, taken in zip(urls, prepared, (held_steps, other_steps), strict=True)
            )
            timed((held, other), arguments.cycles)  # warms up
            before = bytes_of(admin, "jobs")
            with hold(held.url, on.admin_url) as holds:
                looks = [timed((held, other), arguments.cycles)]
                report(0, looks[0])
                for number in range(1, LOOKS + 1):
                    held.pass_jobs(arguments.jobs // LOOKS, threads)
                    looks.append(timed((held, other), arguments.cycles))
                    report(number * arguments.jobs // LOOKS, looks[-1])
                if not holds():
                    raise SystemExit("the snapshot was given up before the end")
                dead = _one(admin, DEAD)
                after = bytes_of(admin, "jobs")
    figures = [
        *_figures(arguments.jobs, looks[0], looks[-1]),
        Figure("  dead rows at the end", dead / arguments.jobs, "a job"),
        Figure("  jobs grew by, heap", (after.heap - before.heap) / arguments.jobs, "bytes a job"),
        Figure(
            "  jobs grew by, indexes",
            (after.indexes - before.indexes) / arguments.jobs,
            "bytes a job",
        ),
    ]
    return hand_over(figures, as_json=arguments.json)


def report(jobs: int, look: Sequence[Times]) -> None:
    held, other = look
    progress(
        f"after {jobs:,} jobs, ms beside the snapshot and without one: "
        + ", ".join(f"{step} {held[step] * 1000:.2f} {other[step] * 1000:.2f}" for step in STEPS)
    )


def _one(connection: psycopg.Connection[Any], statement: str) -> float:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return float(row[0])


def _figures(jobs: int, first: Sequence[Times], last: Sequence[Times]) -> list[Figure]:
    figures = []
    for step in STEPS:
        held, other = (end[step] / begin[step] for begin, end in zip(first, last, strict=True))
        figures += [
            Figure(
                f"{step} after {jobs:,} jobs beside a snapshot / at its beginning",
                held,
                "",
                TARGET,
                at_most=True,
            ),
            Figure("  the same without a snapshot", other, ""),
            Figure(f"  {step} at the end", last[0][step] * 1000, "ms"),
        ]
    return figures


if __name__ == "__main__":
    sys.exit(main())
