"""`python -m benchmarks.client`: what the Python client adds, and what many waits and streams take.

The product runs as it is deployed: API, dispatcher and one worker, each a process, with the model
server at the other end of HTTP.

`submit_and_wait` of the client and the same POST with `Prefer: wait` by bare httpx take turns, one
job at a time. Then one async program waits for 1,000 jobs at once. Then 2,000 event streams are
open at one API process, of jobs that nobody runs: the figure is its resident memory with them,
and how much of it they added.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, of_rounds, progress
from benchmarks.stage import Stage, answers, model_server, process, stage
from tests.support.database.rows import add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.services.accounts.accounts import create_key, make_run_key
from tierline.stack.ports import free_port
from tierline_client import AsyncTierline, Submission, Tierline

TARGET_ADDED_MS = 2.0
TARGET_IMPORT_MS = 150.0
TARGET_MIB = 200.0
WARM = 20
MIB = 1024 * 1024
KEYS = 8  # of the streams: one key may have 500 open
IDLE = "idle"  # a feature whose jobs nobody runs
ONE = {"feature": "echo", "input": {"text": "hello"}}


@dataclass(frozen=True)
class Product:
    """A running product."""

    url: str
    key: str
    pid: int  # of the API
    connection: psycopg.Connection[tuple[object, ...]]


@contextmanager
def product(on: Stage, model_url: str) -> Iterator[Product]:
    """API, dispatcher and a worker with 16 threads."""
    key = make_run_key(on.database_url, "benchmark")
    environment = on.environment(OPENAI_BASE_URL=model_url, TIERLINE_LOG_FORMAT="json")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    worker = ["-m", "workers", "--queues", "slm,slm-backfill", "--name", "slm", "--threads", "16"]
    with (
        psycopg.connect(on.database_url, autocommit=True) as connection,
        process(["-m", "api", "--port", str(port)], environment) as served,
        process(["-m", "workers.dispatcher"], environment),
        process(worker, environment),
    ):
        add_feature(connection, two_tiers("echo"))
        wait_until(lambda: answers(f"{url}/readyz", 200), 60, "the API", 0.05)
        yield Product(url, key, served.pid, connection)


def by_client(client: Tierline) -> float:
    """Seconds of one job with the client."""
    started_s = time.perf_counter()
    client.jobs.submit_and_wait("echo", ONE["input"]).result()
    return time.perf_counter() - started_s


def by_httpx(client: httpx.Client) -> float:
    """Seconds of one job with nothing but httpx."""
    started_s = time.perf_counter()
    response = client.post("/v1/jobs", json=ONE, headers={"Prefer": "wait=20"})
    if response.status_code != 200 or response.json()["status"] != "completed":
        raise SystemExit(f"not completed within the wait: {response.text}")
    return time.perf_counter() - started_s


def added(mine: Product, rounds: int, jobs: int) -> list[tuple[float, float]]:
    """Milliseconds of the client and of httpx, the median of each round."""
    headers = {"Authorization": f"Bearer {mine.key}"}
    medians = []
    with (
        Tierline(mine.url, mine.key) as client,
        httpx.Client(base_url=mine.url, headers=headers, timeout=30, trust_env=False) as bare,
    ):
        for _ in range(WARM):
            by_client(client), by_httpx(bare)
        for _ in range(rounds):
            pairs = [(by_client(client), by_httpx(bare)) for _ in range(jobs)]
            ours, theirs = (median(times) * 1000 for times in zip(*pairs, strict=True))
            progress(f"submit and wait: client {ours:.1f} ms, httpx {theirs:.1f} ms")
            medians.append((ours, theirs))
    return medians


async def many_waits(mine: Product, waits: int) -> float:
    """Seconds until one program has the results of so many jobs that it waits for at once."""
    async with AsyncTierline(mine.url, mine.key) as client:

        async def ask(number: int) -> None:
            input = {"text": str(number)}
            job = await client.jobs.submit_and_wait("echo", input, timeout=120)
            job.result()

        started_s = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(waits)))
        return time.perf_counter() - started_s


async def streams(mine: Product, count: int) -> tuple[float, float]:
    """MiB of the API's process without the streams, and with all of them open."""
    process_of_api = psutil.Process(mine.pid)
    add_feature(mine.connection, two_tiers(IDLE))
    keys = [
        create_key(mine.connection, "default", ("submit", "read")).key  # type: ignore[arg-type]
        for _ in range(KEYS)
    ]
    jobs: list[str] = []
    async with AsyncTierline(mine.url, mine.key) as client:
        while len(jobs) < count:
            some = [Submission(IDLE, {"text": "x"}, deadline_s=3600)] * min(100, count - len(jobs))
            jobs += [job.id for job in await client.jobs.submit_many(some)]
        before = process_of_api.memory_info().rss / MIB
        place = urlsplit(mine.url)
        opened = []
        for number, job in enumerate(jobs):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(
                f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: {place.netloc}\r\n"
                f"Authorization: Bearer {keys[number % KEYS]}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"job.queued")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise SystemExit(f"stream {number}: {head[:200]!r}")
            opened.append(writer)
        await asyncio.sleep(3)  # a few polls
        within = process_of_api.memory_info().rss / MIB
        for writer in opened:
            writer.close()
    return before, within


def import_ms(rounds: int) -> list[float]:
    """Milliseconds of processor time that the import takes, without the interpreter's start."""
    program = (
        "import json, time; started = time.process_time();"
        "from tierline_client import AsyncTierline, Tierline;"
        "print(json.dumps((time.process_time() - started) * 1000))"
    )
    return [
        float(json.loads(subprocess.check_output([sys.executable, "-c", program])))
        for _ in range(rounds)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=60, help="of each side in a round")
    parser.add_argument("--waits", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--latency-ms", type=float, default=20.0, help="what the model takes")
    arguments = read_arguments(parser, {"rounds": 3, "jobs": 20, "waits": 200, "streams": 200})
    with stage() as on, model_server(arguments.latency_ms) as url, product(on, url) as mine:
        pairs = added(mine, arguments.rounds, arguments.jobs)
        waits_s = asyncio.run(many_waits(mine, arguments.waits))
        progress(f"{arguments.waits:,} waits: {waits_s:.1f} s")
        before, within = asyncio.run(streams(mine, arguments.streams))
    return hand_over(
        figures(pairs, waits_s, arguments.waits, before, within, arguments.streams),
        as_json=arguments.json,
    )


def figures(
    pairs: Sequence[tuple[float, float]],
    waits_s: float,
    waits: int,
    before: float,
    within: float,
    count: int,
) -> list[Figure]:
    more = [ours - theirs for ours, theirs in pairs]
    return [
        of_rounds(
            *("submit and wait: added to httpx, p50", more, "ms", TARGET_ADDED_MS), at_most=True
        ),
        of_rounds("… the client", [ours for ours, _ in pairs], "ms"),
        of_rounds("… httpx with Prefer: wait", [theirs for _, theirs in pairs], "ms"),
        Figure(f"{waits:,} waits in one async process", waits_s, "s"),
        of_rounds(
            *("import of both clients, processor time", import_ms(5), "ms", TARGET_IMPORT_MS),
            at_most=True,
        ),
        Figure(f"API with {count:,} open streams", within, "MiB", TARGET_MIB, at_most=True),
        Figure("… what a stream added", (within - before) * 1024 / count, "KiB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
