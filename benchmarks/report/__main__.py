"""`python -m benchmarks.report`: usage, report, economics, status, queues and metrics, with two
million finished jobs behind them.

Two databases of one server: a new one with two thousand finished jobs, and one with as many as
--jobs says, both spread over thirty days and rolled up. Each question is asked of an API process
over HTTP, of both in turn, with nothing cached but what Postgres keeps in memory. What is judged is
the ratio of the two.
"""

import argparse
import contextlib
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import httpx
import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.history import Past, fill_past
from benchmarks.stage import Stage, api, stage
from tests.support.database.rows import add_account
from tierline.services.accounts.accounts import ensure_first_admin
from tierline.services.features.apply_feature import apply_feature
from tierline.stack.embedded import postgres
from tierline.storage.db.migrate import upgrade
from tierline.storage.db.ownership import make_owned

FEATURE = """feature: kinds
instructions: Name the kind.
input: {type: object}
output: {type: string, enum: [a, b]}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""
TARGET = 1.2  # times what it takes on a new database
BOUNDED = {
    "status"
}  # it reads the newest 10,000 jobs for their labels, and a new database has fewer
FEW = 2_000  # finished jobs of the new database: the answers have as many rows
PATHS = {
    "usage": "/v1/usage",
    "usage by day, feature, tier and model": "/v1/usage?group_by=day,feature,tier,model",
    "report": "/v1/features/kinds/report",
    "economics": "/v1/features/kinds/economics",
    "status": "/v1/features/kinds/status",
    "queues": "/v1/queues",
    "metrics": "/metrics",
}
ROUNDS = 30
WARM = 10  # rounds in which statements are prepared and rows come into memory
OTHERS = 9  # accounts besides the one that asks


@contextlib.contextmanager
def database(on: Stage, url: str, jobs: int) -> Iterator[httpx.Client]:
    """A client of an API on a migrated database with so many finished jobs."""
    upgrade(url)
    key = ensure_first_admin(url)
    assert key is not None
    now = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        apply_feature(connection, FEATURE)
        (version, account) = connection.execute(
            "SELECT f.version_id, a.id FROM features f, accounts a"
        ).fetchone() or (0, 0)
        accounts = [add_account(connection, f"account-{number}") for number in range(OTHERS)]
    progress(f"writing {jobs:,} finished jobs")
    fill_past(url, Past(jobs, [account, *accounts], version, now - timedelta(days=29), now))
    environment = {**on.environment(), "DATABASE_URL": url}
    with (
        api(environment) as address,
        httpx.Client(
            base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=120
        ) as client,
    ):
        yield client


def times_in_turn(clients: Sequence[httpx.Client]) -> list[dict[str, list[float]]]:
    """Seconds of each question on each database."""
    times: list[dict[str, list[float]]] = [defaultdict(list) for _ in clients]
    for number in range(WARM + ROUNDS):
        for name, path in PATHS.items():
            for client, taken in zip(clients, times, strict=True):
                began_s = time.perf_counter()
                client.get(path).raise_for_status()
                if number >= WARM:
                    taken[name].append(time.perf_counter() - began_s)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2_000_000, help="finished ones")
    arguments = read_arguments(parser, {"jobs": 50_000})
    with stage() as on:
        with psycopg.connect(
            postgres.admin_url(on.servers.home, "postgres"), autocommit=True
        ) as server:
            make_owned(server, "full", postgres.APP)
        full_url = postgres.url(on.servers.home, "full")
        with (
            database(on, on.database_url, FEW) as new,
            database(on, full_url, arguments.jobs) as full,
        ):
            progress("asking")
            on_new, on_full = times_in_turn((new, full))
    figures = []
    for name in PATHS:
        one, other = median(on_new[name]), median(on_full[name])
        low, high = (1000 * edge for edge in (min(on_full[name]), max(on_full[name])))
        target = None if name in BOUNDED else TARGET
        figures += [
            Figure(
                f"{name}, {arguments.jobs:,} finished jobs", other * 1000, "ms", low=low, high=high
            ),
            Figure("  / on a new database", other / one, "", target, at_most=True),
            Figure("  the fastest of each", min(on_full[name]) / min(on_new[name]), ""),
        ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
