"""One side's window: what it did in a set time once it was warm, and what that took."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import mean

import psycopg
import redis

from benchmarks.stage import Stage
from benchmarks.throughput import counters
from benchmarks.throughput.counters import Counters
from benchmarks.throughput.cpu import between, seconds
from benchmarks.throughput.sides import Side
from tests.support.waiting import wait_until

LOOK_S = 0.25  # between two looks at how many jobs are in flight
WARM = 500  # jobs done before the window begins
FLUSH = "SELECT pg_stat_force_next_flush()"  # this session's counts are seen by the next statement


@dataclass(frozen=True)
class Window:
    """What was seen of one side once it was warm."""

    jobs_per_s: float
    in_flight: float  # claimed and not finished, on average
    cpu_ms: Mapping[str, float]  # processor time of a job, by the kind of process
    counted: Counters  # of a job, from its submission to its end


@dataclass(frozen=True)
class Load:
    """What every side is given."""

    jobs: int  # in the backlog
    in_flight: int  # at most
    window_s: float
    warm: int = WARM


def measure(name: str, side: Side, on: Stage, url: str, load: Load) -> Window:
    """One side over a window that begins when it is warm.

    What a job costs Postgres is the sum of two shares: of its submission, and of the window.
    Rows are counted up to the side's end instead, when its sessions have reported all of theirs.
    """
    marks: list[tuple[Counters, int]] = []
    with (
        psycopg.connect(on.database_url, autocommit=True) as connection,
        psycopg.connect(on.admin_url, autocommit=True) as admin,
        redis.Redis.from_url(on.redis_url) as broker,
    ):

        def mark(submitted: int) -> None:
            connection.execute(FLUSH)
            marks.append((counters.read(admin, broker), submitted))

        counters.prepare(admin)
        mark(0)
        running = contextlib.contextmanager(side)(
            on, connection, url, load.jobs, load.in_flight, mark
        )
        with running as table:

            def count(status: str) -> int:
                row = admin.execute(
                    f"SELECT count(*) FROM {table} WHERE status = '{status}'"
                ).fetchone()
                assert row is not None
                return int(row[0])

            wait_until(lambda: count("completed") >= load.warm, 60, f"{name} to be warm", 0.05)
            cpu, before, started = seconds(), count("completed"), time.monotonic()
            counted = counters.read(admin, broker)
            in_flight: list[int] = []
            while time.monotonic() < started + load.window_s:
                in_flight.append(count("in_progress"))
                time.sleep(LOOK_S)
            spent, after, ended = between(cpu, seconds()), count("completed"), time.monotonic()
            window = counters.read(admin, broker) - counted
            if after >= load.jobs:
                raise SystemExit(f"{name}: the backlog ran dry; take more --jobs")
        end = counters.read(admin, broker)
        all_done = admin.execute(f"SELECT count(*) FROM {table} WHERE status = 'completed'")
        (ended_jobs,) = all_done.fetchone() or (0,)
    done = after - before
    (empty, _), (first, submitted), *_ = marks
    submission = (first - empty).each(submitted)
    counted = submission + window.each(done)
    rows = submission + (end - marks[-1][0]).each(ended_jobs)
    return Window(
        done / (ended - started),
        mean(in_flight),
        {kind: used * 1000 / done for kind, used in spent.items()},
        replace(counted, row_versions=rows.row_versions),
    )
