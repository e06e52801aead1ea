"""`python -m benchmarks size`: each step of a job beside millions of finished ones.

Two databases of one server: a new one with a few thousand finished jobs, and one with as many as
--jobs says, spread over a year. On both in turn, in the same minutes, the product's own functions
choose, claim and finish jobs, read them one by one and in pages, and sum them up in usage and in a
feature's report of 30 days. What is judged is the ratio of the two.

A server, its settings and its folder are the benchmark's own, and are removed at the end. A
finished job takes about 2 KB: 20 GB for ten million, and as much again for the log. With --home the
folder stays, and the next run measures what is in it.
"""

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import BROKEN, Figure, hand_over, progress
from benchmarks.history import TABLES, Past, bytes_of, fill_past
from benchmarks.stage import stage
from benchmarks.steps import STEPS, Steps, steps
from tests.support.database.rows import add_account, add_feature, two_tiers
from tierline.services.jobs.read_jobs import Before, Filters, list_jobs, read_job
from tierline.services.reports.report import report
from tierline.services.reports.usage import day_of, usage_of
from tierline.stack.embedded import postgres
from tierline.storage.db.migrate import upgrade
from tierline.storage.db.ownership import make_owned

TARGET = 1.2  # times what it takes on a new database
FEATURE = "echo"
ACCOUNTS = 50
FEW = 5_000  # finished jobs of the new database, so that there is something to read
KB_OF_A_JOB = 4.5  # with the log of its writing
WINDOW = timedelta(days=30)
PAGE = 50
SUMS = 5  # usage and report, in a round
RECENT = 1_000  # the jobs that callers still read
# For a machine with little memory, as the product's own settings, but for a bulk load.
SETTINGS = {
    "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
}
GET, LIST, USAGE, REPORT = "get", "list", "usage", "report"
GET_OLD, LIST_OLD = "get, of any age", "list, from any age on"
READS = (GET, LIST, USAGE, REPORT)
OLD_READS = (GET_OLD, LIST_OLD)  # their first reads on a connection plan for each week
LISTED = "SELECT account_id, seq, id FROM jobs WHERE id = %s"
FILLED = "CREATE TABLE filled (jobs bigint, begins timestamptz, ends timestamptz)"


@dataclass
class Ground:
    """One of the two databases."""

    url: str
    accounts: list[int]
    steps: Steps
    recent: Sequence[UUID]
    any_age: Sequence[UUID]

    def timed(self, step: str) -> float:
        """Seconds of one read."""
        with self.steps.pool.connection() as connection:
            read = self._read(step, connection)
            began_s = time.perf_counter()
            read()
            return time.perf_counter() - began_s

    def _read(self, step: str, connection: psycopg.Connection[object]) -> Callable[[], object]:
        account, now = random.choice(self.accounts), datetime.now(UTC)
        since = day_of(now) - WINDOW  # the API's default
        if step == GET:
            one = random.choice(self.recent)
            return lambda: read_job(connection, one)
        if step == GET_OLD:
            old = random.choice(self.any_age)
            return lambda: read_job(connection, old)
        if step == LIST_OLD:
            row = connection.execute(LISTED, (random.choice(self.any_age),)).fetchone()
            assert row is not None
            of, last = row[0], Before(row[1], row[2])  # type: ignore[index]
            return lambda: list_jobs(connection, of, Filters(), last, PAGE)
        if step == LIST:
            return lambda: list_jobs(connection, account, Filters(), None, PAGE)
        if step == USAGE:
            return lambda: usage_of(connection, account, since, None, ["day"])
        return lambda: report(connection, FEATURE, since, None)


@contextlib.contextmanager
def ground(url: str, jobs: int, weeks: int) -> Iterator[Ground]:
    """A migrated database with so many finished jobs."""
    upgrade(url)
    past = _filled(url) or _fill(url, jobs, weeks)
    if past.jobs != jobs:
        raise SystemExit(f"the home has {past.jobs:,} jobs: ask for as many, or for another --home")
    with psycopg.connect(url, autocommit=True) as connection, steps(url, past.version) as taken:
        recent, spread = _ids(connection, RECENT), _spread(connection, past.begin, past.end)
        yield Ground(url, past.accounts, taken, recent, spread)


def _fill(url: str, jobs: int, weeks: int) -> Past:
    now = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        version = add_feature(connection, two_tiers(FEATURE))
        accounts = [add_account(connection, f"account-{number}") for number in range(ACCOUNTS)]
    began_s = time.monotonic()
    begin = now - (timedelta(weeks=weeks) if jobs > FEW else WINDOW)
    past = Past(jobs, accounts, version, begin, now - timedelta(minutes=1))
    fill_past(url, past)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILLED)
        connection.execute("INSERT INTO filled SELECT %s, %s, %s", (jobs, past.begin, past.end))
    progress(f"{jobs:,} finished jobs are there after {time.monotonic() - began_s:.0f} s")
    return past


def _filled(url: str) -> Past | None:
    """What an earlier run with the same --home wrote. A run that was stopped left no such row."""
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT EXISTS (SELECT FROM accounts)").fetchone() == (False,):
            return None
        if connection.execute("SELECT to_regclass('filled') IS NULL").fetchone() == (True,):
            raise SystemExit("the home was not filled to its end: remove it")
        accounts = [one for (one,) in connection.execute("SELECT id FROM accounts ORDER BY id")]
        row = connection.execute(
            "SELECT f.jobs, v.id, f.begins, f.ends FROM filled f, feature_versions v"
        ).fetchone()
        connection.execute("DELETE FROM jobs WHERE part < 2")  # a stopped run left them
    assert row is not None
    jobs, version, begin, end = row
    return Past(jobs, accounts, version, begin, end)


def _ids(connection: psycopg.Connection[object], most: int) -> list[UUID]:
    """The newest jobs."""
    rows = connection.execute("SELECT id FROM jobs ORDER BY id DESC LIMIT %s", (most,))
    return [one for (one,) in rows]  # type: ignore[misc]


def _spread(connection: psycopg.Connection[object], begin: datetime, end: datetime) -> list[UUID]:
    """Ids of jobs of all ages."""
    ids: list[UUID] = []
    for _ in range(RECENT):
        at = begin + (end - begin) * random.random()
        first = UUID(int=int(at.timestamp() * 1000) << 80)
        row = connection.execute(
            "SELECT id FROM jobs WHERE id >= %s ORDER BY id LIMIT 1", (first,)
        ).fetchone()
        if row is not None:
            ids.append(row[0])  # type: ignore[index]
    return ids


def one_round(grounds: Sequence[Ground], cycles: int, reads: int) -> list[dict[str, float]]:
    """The median of each step on each database, in seconds. They take turns at every step."""
    taken: list[dict[str, list[float]]] = [defaultdict(list) for _ in grounds]
    for _ in range(cycles):
        for on in grounds:
            on.steps.cycle(random.sample(on.accounts, 8), 16)
    for on, times_of in zip(grounds, taken, strict=True):
        times_of.update(on.steps.take())
    for step in (*READS, *OLD_READS):
        for _ in range(SUMS if step in (USAGE, REPORT) else reads):
            for on, times_of in zip(grounds, taken, strict=True):
                times_of[step].append(on.timed(step))
    return [{step: median(times) for step, times in times_of.items()} for times_of in taken]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000_000, help="finished ones")
    parser.add_argument("--weeks", type=int, default=52, help="over which they are spread")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cycles", type=int, default=20, help="of 16 jobs in a round")
    parser.add_argument("--reads", type=int, default=30, help="of each kind in a round")
    parser.add_argument("--home", type=Path, help="a folder that stays, to measure it once more")
    arguments = read_arguments(parser, {"jobs": 200_000, "rounds": 3, "cycles": 5})
    home = arguments.home
    folder = tempfile.gettempdir() if home is None else str(home.absolute().parent)
    free = shutil.disk_usage(folder).free
    needed = int(arguments.jobs * KB_OF_A_JOB * 1000) + 5_000_000_000
    if free < needed and not arguments.short and not (home is not None and home.exists()):
        progress(
            f"{arguments.jobs:,} jobs need {needed / 1e9:.0f} GB in {folder}, where"
            f" {free / 1e9:.0f} GB are free: take fewer --jobs, or another folder by --home"
        )
        return BROKEN
    with stage(SETTINGS, home) as on:
        with psycopg.connect(
            postgres.admin_url(on.servers.home, "postgres"), autocommit=True
        ) as server:
            make_owned(server, "full", postgres.APP)
        full_url = postgres.url(on.servers.home, "full")
        with (
            ground(on.database_url, FEW, arguments.weeks) as new,
            ground(full_url, arguments.jobs, arguments.weeks) as full,
        ):
            rounds: list[tuple[dict[str, float], dict[str, float]]] = []
            for number in range(arguments.rounds + 1):
                one, other = one_round((new, full), arguments.cycles, arguments.reads)
                if number == 0:
                    continue  # warms up
                rounds.append((one, other))
                progress(
                    f"round {number}, ms on a new database and on the full one: "
                    + ", ".join(
                        f"{step} {one[step] * 1000:.2f} {other[step] * 1000:.2f}" for step in one
                    )
                )
        with psycopg.connect(full_url, autocommit=True) as connection:
            sizes = {table: bytes_of(connection, table) for table in TABLES}
    return hand_over(
        [
            *_figures(rounds, arguments.jobs),
            *(
                Figure(f"  disk of a job in {table}", size.total / arguments.jobs, "bytes")
                for table, size in sizes.items()
            ),
            *(
                Figure(f"    indexes of {table}", size.indexes / arguments.jobs, "bytes")
                for table, size in sizes.items()
            ),
            Figure(
                "  disk of a job",
                sum(size.total for size in sizes.values()) / arguments.jobs,
                "bytes",
            ),
        ],
        as_json=arguments.json,
    )


def _figures(
    rounds: Sequence[tuple[dict[str, float], dict[str, float]]], jobs: int
) -> list[Figure]:
    figures = []
    for step in (*STEPS, *READS, *OLD_READS):
        ratios = [full[step] / new[step] for new, full in rounds]
        figures += [
            Figure(
                f"{step} beside {jobs:,} finished jobs / on a new database",
                median(ratios),
                "",
                None if step in OLD_READS else TARGET,
                at_most=True,
                low=min(ratios),
                high=max(ratios),
            ),
            Figure(
                f"  {step} on a new database", median(new[step] for new, _ in rounds) * 1000, "ms"
            ),
            Figure(f"  {step}", median(full[step] for _, full in rounds) * 1000, "ms"),
        ]
    return figures


if __name__ == "__main__":
    sys.exit(main())
