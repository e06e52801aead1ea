"""`python -m benchmarks.budgets`: a job's reservation and settlement, and 64 workers on one budget.

The pair is timed on one connection, each with a call of its own. Throughput is that of one account
whose budget is never spent, against the same account without one, in turn: workers, broker, model
server and window are those of `benchmarks.throughput`, and each job is one call.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from statistics import median
from typing import Any

import psycopg

from benchmarks.backlog import EMPTY, fill
from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress, share
from benchmarks.stage import Stage, model_server, process, stage
from benchmarks.throughput.sides import PROCESSES
from benchmarks.throughput.window import WARM
from tests.support.database.rows import add_account, add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.base.ids import new_id
from tierline.storage.money.budgets import Holder, set_budget
from tierline.storage.money.reservations import CallId, reserve, settle

TARGET_MS = 2.0
TARGET_KEPT = 0.8
THREADS = 64
PLENTY = Decimal(1_000_000)
Connection = psycopg.Connection[Any]


def pairs(connection: Connection, times: int) -> list[float]:
    """Milliseconds of one reservation and its settlement, with an account's and a user's budget."""
    account = add_account(connection, f"bench-{new_id()}")
    set_budget(connection, account, "account", "", "month", PLENTY, hard=True)
    set_budget(connection, account, "user", "", "day", PLENTY, hard=False)
    holder = Holder(account, user="somebody")
    times_ms = []
    for _ in range(times):
        call = CallId(new_id(), 1, 1)
        began = time.perf_counter()
        assert reserve(connection, holder, call, Decimal("0.01"), first_tier=True) is None
        settle(connection, call, Decimal("0.001"))
        times_ms.append((time.perf_counter() - began) * 1000)
    return sorted(times_ms[times // 10 :])


@contextlib.contextmanager
def workers(
    on: Stage, connection: Connection, url: str, jobs: int, *, budget: bool
) -> Iterator[None]:
    """64 threads on a fresh backlog of one account."""
    connection.execute(EMPTY)
    connection.execute("TRUNCATE reservations, budget_periods, budgets, prices")
    account = add_account(connection, f"bench-{new_id()}")
    version = add_feature(connection, two_tiers(f"echo-{new_id().hex[-8:]}"))
    connection.execute(
        "INSERT INTO prices (model, since, price) VALUES ('openai:small', '2026-01-01',"
        """ '{"input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"}')"""
    )
    if budget:
        set_budget(connection, account, "account", "", "month", PLENTY, hard=True)
    fill(connection, [account], version, jobs)
    environment = on.environment(OPENAI_BASE_URL=url, TIERLINE_LOG_FORMAT="json")
    with contextlib.ExitStack() as running:
        running.enter_context(process(["-m", "workers.dispatcher"], environment))
        for number in range(PROCESSES):
            arguments = ["-m", "workers", "--queues", "slm,slm-backfill"]
            arguments += ["--name", f"slm-{number}", "--threads", str(THREADS // PROCESSES)]
            running.enter_context(process(arguments, environment))
        yield


def rate(on: Stage, url: str, jobs: int, window_s: float, *, budget: bool) -> float:
    """Jobs a second once the workers are warm."""
    with (
        psycopg.connect(on.database_url, autocommit=True) as connection,
        workers(on, connection, url, jobs, budget=budget),
    ):

        def done() -> int:
            row = connection.execute(
                "SELECT count(*) FROM jobs WHERE status = 'completed'"
            ).fetchone()
            assert row is not None
            return int(row[0])

        wait_until(lambda: done() >= WARM, 60, "the workers to be warm", 0.05)
        before, started = done(), time.monotonic()
        time.sleep(window_s)
        after, ended = done(), time.monotonic()
        reserved = connection.execute("SELECT count(*) FROM reservations").fetchone()
        assert reserved is not None
        assert (reserved[0] > 0) is budget, "each call of a budgeted account is reserved for"
        if after >= jobs:
            raise SystemExit("the backlog ran dry; take more --jobs")
    return (after - before) / (ended - started)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--window-s", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    arguments = read_arguments(parser, {"rounds": 2, "window_s": 4.0, "jobs": 10_000})
    kept, rates = [], []
    with stage() as on, model_server(arguments.latency_ms) as url:
        with psycopg.connect(on.database_url, autocommit=True) as connection:
            times = pairs(connection, 500 if arguments.short else 5_000)
        progress(f"a reservation and its settlement: {median(times):.2f} ms")
        for number in range(arguments.rounds):
            without = rate(on, url, arguments.jobs, arguments.window_s, budget=False)
            under = rate(on, url, arguments.jobs, arguments.window_s, budget=True)
            kept.append(under / without)
            rates.append(under)
            progress(f"round {number + 1}: {under:.1f} jobs/s, {without:.1f} without a budget")
    figures = [
        Figure(
            "a budget's reserve and settle",
            *(median(times), "ms", TARGET_MS),
            at_most=True,
            low=times[0],
            high=share(times, 0.99),
        ),
        Figure(
            "throughput of 64 workers on one budget / without",
            *(median(kept), "", TARGET_KEPT),
            low=min(kept),
            high=max(kept),
        ),
        Figure("  under a budget", median(rates), "jobs/s", low=min(rates), high=max(rates)),
    ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
