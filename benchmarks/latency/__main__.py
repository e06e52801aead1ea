"""`python -m benchmarks.latency`: submit → completed less the model's own time, one job at a time.

The product runs as it is deployed: API, dispatcher and one worker, each a process, with the model
server at the other end of HTTP. A job is sent with `Prefer: wait` and the next one when its answer
is there.

The judged time begins before the POST is sent, on this process's clock, and ends at the row's
`completed_at`, on Postgres's clock: both are the machine's. Only the time that the model server is
set to take is subtracted. What HTTP and a late timer add to a call stays in; a bare call in the
same run shows how much that is. `completed_at - created_at`, which excludes the POST, and the
caller's own time, which includes the way back, are reported as well.

The yardstick is the strong Celery task of `benchmarks.throughput`: insert a row, send its message,
until the row's `completed_at`. Both sides take turns in one run.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any
from uuid import UUID

import httpx
import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress, share
from benchmarks.latency.yardstick import TIMES, by_hand
from benchmarks.stage import Stage, api, model_server, process, stage
from tests.support.database.rows import add_feature, two_tiers
from tierline.services.accounts.accounts import make_run_key

TARGET_P50_MS = 15.0
TARGET_P99_MS = 40.0
WARM = 30  # jobs of each side before anything counts
ONE = {"feature": "echo", "input": {"text": "hello"}}


class Product:
    """Sends jobs through the API and keeps what it saw."""

    def __init__(self, client: httpx.Client, connection: psycopg.Connection[Any]) -> None:
        self._client = client
        self._connection = connection

    def one(self) -> tuple[float, float, float]:
        """Seconds from the POST to completed_at, within the row, and as the caller sees it."""
        started, started_s = time.time(), time.perf_counter()
        response = self._client.post("/v1/jobs", json=ONE, headers={"Prefer": "wait=10"})
        seen_s = time.perf_counter() - started_s
        if response.status_code != 200:
            raise SystemExit(f"not completed within the wait: {response.text}")
        row = self._connection.execute(
            f"SELECT {TIMES} FROM jobs WHERE id = %s AND status = 'completed'",
            (UUID(response.json()["id"]),),
        ).fetchone()
        assert row is not None, "what was answered with 200 is completed"
        created, completed = row
        return completed - started, completed - created, seen_s


@contextmanager
def product(on: Stage, model_url: str, threads: int) -> Iterator[Product]:
    """API, dispatcher and a worker."""
    key = make_run_key(on.database_url, "benchmark")
    environment = on.environment(OPENAI_BASE_URL=model_url, TIERLINE_LOG_FORMAT="json")
    worker = ["-m", "workers", "--queues", "slm,slm-backfill", "--name", "slm"]
    with (
        psycopg.connect(on.database_url, autocommit=True) as connection,
        api(environment) as url,
        process(["-m", "workers.dispatcher"], environment),
        process([*worker, "--threads", str(threads)], environment),
        httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        ) as client,
    ):
        add_feature(connection, two_tiers("echo"))
        yield Product(client, connection)


def bare_call(client: httpx.Client, url: str) -> float:
    """Seconds that a call of the model takes with nothing around it."""
    started_s = time.perf_counter()
    client.post(
        f"{url}/chat/completions",
        json={"model": "small", "messages": [{"role": "user", "content": "hello"}]},
    ).raise_for_status()
    return time.perf_counter() - started_s


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=100, help="of each side in a round")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="what the model takes")
    parser.add_argument("--threads", type=int, default=16, help="of each side's worker")
    arguments = read_arguments(parser, {"rounds": 3, "jobs": 60})
    model_s = arguments.latency_ms / 1000
    ours: list[list[tuple[float, float, float]]] = []
    theirs: list[list[tuple[float, float]]] = []
    bare: list[float] = []
    with (
        stage() as on,
        model_server(arguments.latency_ms) as url,
        product(on, url, arguments.threads) as mine,
        by_hand(on, url, arguments.threads) as yardstick,
        httpx.Client(trust_env=False) as plain,
    ):
        for _ in range(WARM):
            mine.one(), yardstick.one(), bare_call(plain, url)
        for number in range(arguments.rounds):
            ours.append([mine.one() for _ in range(arguments.jobs)])
            theirs.append([yardstick.one() for _ in range(arguments.jobs)])
            bare += [bare_call(plain, url) for _ in range(arguments.jobs // 2)]
            progress(
                f"round {number + 1}: tierline p50 {_ms(ours[-1], 0, 0.5, model_s):.1f} ms,"
                f" strong Celery task p50 {_ms(theirs[-1], 0, 0.5, model_s):.1f} ms"
            )
    return hand_over(_figures(ours, theirs, bare, model_s), as_json=arguments.json)


def _figures(
    ours: Sequence[Sequence[tuple[float, ...]]],
    theirs: Sequence[Sequence[tuple[float, ...]]],
    bare: Sequence[float],
    model_s: float,
) -> list[Figure]:
    def figure(
        what: str,
        rounds: Sequence[Sequence[tuple[float, ...]]],
        column: int,
        part: float,
        target: float | None = None,
    ) -> Figure:
        whole = [one for times in rounds for one in times]
        by_round = [_ms(times, column, part, model_s) for times in rounds]
        value = _ms(whole, column, part, model_s)
        return Figure(what, value, "ms", target, True, min(by_round), max(by_round))

    return [
        figure("submit to completed, p50", ours, 0, 0.5, TARGET_P50_MS),
        figure("submit to completed, p99", ours, 0, 0.99, TARGET_P99_MS),
        figure("  strong Celery task, p50", theirs, 0, 0.5),
        figure("  strong Celery task, p99", theirs, 0, 0.99),
        figure("  created_at to completed_at, p50", ours, 1, 0.5),
        figure("  created_at to completed_at, p99", ours, 1, 0.99),
        figure("  seen by a caller with Prefer: wait, p50", ours, 2, 0.5),
        figure("  seen by a caller with Prefer: wait, p99", ours, 2, 0.99),
        Figure(
            "  a bare call's own over the model's time, p50", (median(bare) - model_s) * 1e3, "ms"
        ),
    ]


def _ms(times: Sequence[tuple[float, ...]], column: int, part: float, model_s: float) -> float:
    return (share(sorted(one[column] for one in times), part) - model_s) * 1000


if __name__ == "__main__":
    sys.exit(main())
