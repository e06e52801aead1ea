"""The sides that run in turn: the product, two Celery tasks, and the other job systems.

Each finds its whole backlog waiting and runs as many jobs at once, over the same number of
processes, on the same servers. A side is a generator: it writes the backlog, starts the processes,
yields the table that tells how far it is, and stops them.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.backlog import EMPTY, fill
from benchmarks.stage import Stage, process
from benchmarks.submissions import submit
from benchmarks.throughput import peer_tables, yardstick_tables
from benchmarks.throughput.peers import NAMES as PEERS
from tests.support.database.rows import add_account, add_feature, two_tiers
from tests.support.processes import started as processes
from tierline.base.ids import new_id

PROCESSES = 2
ACCOUNTS = 4
TEXT = "hello " * 41  # an input of 258 bytes of JSON
PEERS_PYTHON = processes.ROOT / ".venv" / "peers" / "bin" / "python"
Connection = psycopg.Connection[Any]
SUBMITTED = 1_000  # of the product's backlog as the API writes them; the rest by COPY
# Called with how many jobs were submitted since the last time; at the end of the backlog at last.
Filled = Callable[[int], None]
Side = Callable[[Stage, Connection, str, int, int, Filled], Iterator[str]]


def product(*, backfill: bool) -> Side:
    """The product: a dispatcher and workers. Its backlog belongs to four accounts, because it keeps
    the last eighth of a queue's threads from any one account.
    """

    def run(
        on: Stage, connection: Connection, url: str, jobs: int, flight: int, filled: Filled
    ) -> Iterator[str]:
        connection.execute(EMPTY)
        accounts = [add_account(connection, f"bench-{new_id()}") for _ in range(ACCOUNTS)]
        feature = f"echo-{new_id().hex[-8:]}"
        version = add_feature(connection, two_tiers(feature))
        if not backfill:
            submit(on.database_url, accounts, feature, version, SUBMITTED, TEXT)
            filled(SUBMITTED)
        left = jobs if backfill else jobs - SUBMITTED
        fill(connection, accounts, version, left, backfill=backfill, text=TEXT)
        filled(left)
        environment = on.environment(OPENAI_BASE_URL=url, TIERLINE_LOG_FORMAT="json")
        with contextlib.ExitStack() as running:
            running.enter_context(process(["-m", "workers.dispatcher"], environment))
            for number in range(PROCESSES):
                arguments = ["-m", "workers", "--queues", "slm,slm-backfill"]
                arguments += ["--name", f"slm-{number}", "--threads", str(flight // PROCESSES)]
                running.enter_context(process(arguments, environment))
            yield "jobs"

    return run


def by_hand(task: str, queue: str) -> Side:
    """One of the Celery tasks, on rows and messages of its own."""

    def run(
        on: Stage, connection: Connection, url: str, jobs: int, flight: int, filled: Filled
    ) -> Iterator[str]:
        connection.execute(yardstick_tables.TABLES)
        ids = yardstick_tables.fill(connection, jobs, TEXT)
        environment = on.environment(OPENAI_BASE_URL=url)
        yardstick_tables.publish(environment, task, queue, ids)
        filled(jobs)
        with contextlib.ExitStack() as running:
            for number in range(PROCESSES):
                arguments = ["-m", "celery", "-A", "benchmarks.throughput.yardstick", "worker"]
                arguments += ["--pool=threads", f"--concurrency={flight // PROCESSES}"]
                arguments += ["-Q", queue, "-n", f"yard-{number}@localhost", "--loglevel=ERROR"]
                arguments += ["--without-gossip", "--without-mingle", "--task-events"]
                running.enter_context(process(arguments, environment))
            yield "yard_jobs"

    return run


def peer(name: str) -> Side:
    """One of the other job systems; see peers/."""

    def run(
        on: Stage, connection: Connection, url: str, jobs: int, flight: int, filled: Filled
    ) -> Iterator[str]:
        connection.execute(peer_tables.TABLES)
        ids = peer_tables.fill(connection, jobs, TEXT)
        environment = on.environment(OPENAI_BASE_URL=url)
        arguments = ["-m", "benchmarks.throughput.peers", name]
        published = subprocess.run(
            [PEERS_PYTHON, *arguments, "publish"],
            cwd=processes.ROOT,
            input=json.dumps([str(one) for one in ids]).encode(),
            env=environment,
            stderr=None if "BENCH_LOG" in os.environ else subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        if published.returncode != 0:
            raise SystemExit(f"{name}: its backlog could not be published; BENCH_LOG=1 says why")
        filled(jobs)
        with contextlib.ExitStack() as running:
            for _ in range(PROCESSES):
                threads = ["--threads", str(flight // PROCESSES)]
                running.enter_context(
                    process([*arguments, "work", *threads], environment, python=PEERS_PYTHON)
                )
            yield "peer_jobs"

    return run


INTERACTIVE, BACKFILL = "tierline", "tierline, backfill"
OURS = {INTERACTIVE: product(backfill=False)}
CELERY = {
    "plain": by_hand("yard.plain", "yard-plain"),
    "strong": by_hand("yard.strong", "yard-strong"),
}
SIDES: Mapping[str, Side] = {**OURS, **CELERY}
WITH_PEERS: Mapping[str, Side] = {
    **OURS,
    BACKFILL: product(backfill=True),
    **CELERY,
    **{name: peer(name) for name in PEERS},
}


def peers_missing(names: Sequence[str], python: Path = PEERS_PYTHON) -> bool:
    """Whether one of these sides needs the peers' environment, and it is not there."""
    return any(name in PEERS for name in names) and not python.exists()
