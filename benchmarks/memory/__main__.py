"""`python -m benchmarks.memory`: the resident memory of a worker over 20,000 jobs.

The jobs take the whole road: a batch over HTTP into the API, hints by a dispatcher, and one worker
with 16 threads that claims, calls a model server over HTTP and settles. The worker's resident set
is read each time another 1% of the jobs are done.

Flat means: once a quarter of the jobs are done, which fills pools, caches and the allocator's
arenas, the rest adds less than 2%: the median of the last tenth of the samples over the median of
the tenth that begins at a quarter. The slope is of a least-squares line through all samples after
the first quarter. There is no yardstick but the worker itself, earlier.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from statistics import linear_regression, median
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.ingest.send import body_of, rows, send_batch
from benchmarks.stage import api, model_server, process, stage
from tests.support.database.rows import add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.services.accounts.accounts import make_run_key

TARGET_GROWTH = 2.0  # percent
PART = 5_000  # rows
LOOK_S = 0.1
STUCK_S = 60.0  # without another job done
MIB = 1024 * 1024
WIDTH = 48  # of the plot, in characters


def sample(connection: psycopg.Connection[Any], pid: int, jobs: int) -> list[tuple[int, int]]:
    """(jobs done, resident bytes) at each further percent, until all are done."""
    worker = psutil.Process(pid)
    samples: list[tuple[int, int]] = []
    step = max(1, jobs // 100)

    def done() -> int:
        row = connection.execute("SELECT count(*) FROM jobs WHERE status = 'completed'").fetchone()
        assert row is not None
        return int(row[0])

    def beyond(least: int) -> int | None:
        now = done()
        return now if now >= least else None

    at = 0
    while at < jobs:
        least = min(jobs, at + step)
        at = wait_until(partial(beyond, least), STUCK_S, "more jobs done", LOOK_S) or jobs
        samples.append((at, worker.memory_info().rss))
        if len(samples) % 10 == 0:
            progress(f"{at:>7,} jobs: {samples[-1][1] / MIB:.1f} MiB")
    return samples


def plot(samples: Sequence[tuple[int, int]]) -> str:
    """A line for about each tenth of the samples, from zero on."""
    most = max(rss for _, rss in samples)
    shown = [*samples[:: max(1, len(samples) // 10)], samples[-1]]
    return "\n".join(
        f"{done:>7,} {rss / MIB:6.1f} MiB {'#' * round(rss / most * WIDTH)}" for done, rss in shown
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--latency-ms", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=16)
    arguments = read_arguments(parser, {"jobs": 4_000})
    with (
        stage() as on,
        model_server(arguments.latency_ms) as model_url,
        psycopg.connect(on.database_url, autocommit=True) as connection,
    ):
        add_feature(connection, two_tiers("echo"))
        key = make_run_key(on.database_url, "benchmark")
        environment = on.environment(OPENAI_BASE_URL=model_url, TIERLINE_LOG_FORMAT="json")
        worker = ["-m", "workers", "--queues", "slm,slm-backfill", "--name", "slm"]
        worker += ["--threads", str(arguments.threads)]
        with api(environment) as url:
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
                sizes = [min(PART, arguments.jobs - at) for at in range(0, arguments.jobs, PART)]
                send_batch(client, [body_of(rows(size)) for size in sizes])
            with (
                process(worker, environment) as running,
                process(["-m", "workers.dispatcher"], environment),
            ):
                samples = sample(connection, running.pid, arguments.jobs)
    progress(plot(samples))
    return hand_over(_figures(samples, arguments.jobs), as_json=arguments.json)


def _figures(samples: Sequence[tuple[int, int]], jobs: int) -> list[Figure]:
    tenth = max(1, len(samples) // 10)
    later = [one for one in samples if one[0] >= jobs / 4]
    early = median(rss for _, rss in later[:tenth])
    late = median(rss for _, rss in later[-tenth:])
    growth = (late / early - 1) * 100
    slope = linear_regression([done for done, _ in later], [rss for _, rss in later]).slope

    def at(part: float) -> Figure:
        done, rss = next(one for one in samples if one[0] >= jobs * part)
        return Figure(f"  resident at {done:,} jobs", rss / MIB, "MiB")

    return [
        Figure(
            f"worker's growth from a quarter of {jobs:,} jobs on", growth, "%", TARGET_GROWTH, True
        ),
        at(0.1),
        at(0.5),
        at(1.0),
        Figure("  slope after a quarter", slope, "bytes/job"),
    ]


if __name__ == "__main__":
    sys.exit(main())
