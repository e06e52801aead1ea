"""`python -m benchmarks.trace`: an hour of a real service, sped up, against `tierline up`.

The whole product runs as a user starts it, with a model server on loopback that answers as long as
the trace says; one small answer in twenty fails its schema and goes to the second tier, one job in
ten is waited for in its request, one in ten is announced by a webhook. Meanwhile the benchmark
reads what each process of the product holds: resident memory, threads, open files, connections to
Postgres and to the broker.

Flat means, of memory: once a quarter of the hour is over, the rest adds less than 2%, the median of
the last tenth of the samples over the median of the tenth that begins at the quarter. Flower keeps
the last 10,000 tasks, so that it grows until it has them and is judged by nothing here. Of all that
is counted: once the last job has ended, nothing is more than a few above what was held after the
first jobs. A pool opens a thread or a connection when it is first needed; a leak grows with the
work.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress, share
from benchmarks.trace.asks import TRACE, Ask, read_trace
from benchmarks.trace.send import FEATURE, Sent, send
from benchmarks.trace.watch import PROCESSES, Held, Watch
from tests.support.database.rows import add_feature, two_tiers
from tests.support.fake_servers.webhook_receiver import Receiver, receiving
from tests.support.processes.started import model_server
from tests.support.processes.up import run_up
from tests.support.waiting import wait_until

TARGET_GROWTH = 2.0  # percent
NOT_JUDGED = "flower"
FIRST = 500  # requests before anything counts: they fill pools, and what is kept after an error
LOOK_S = 1.0
STUCK_S = 120.0  # without another job done: a slow machine falls behind, and catches up in the end
FEW = 3
BACK_S = 240.0  # idle connections of a pool are closed after 120 s
MIB = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """What a run came to."""

    sent: Sequence[Sent]
    ended: int  # jobs
    announced: int  # jobs whose end a webhook announced
    latencies_s: Sequence[float]  # from a job's row to its end, sorted
    seen: Sequence[Held]
    left: dict[str, int]  # by what is held, how much more than after the first jobs

    @property
    def accepted(self) -> int:
        return sum(one.accepted for one in self.sent)

    @property
    def hooks(self) -> int:
        return sum(one.hooks for one in self.sent)


def run(home: Path, asks: Sequence[Ask], speed: float, first: int = FIRST, enough: int = 0) -> Run:
    """Send the asks to a product of its own in `home`, and watch it.

    `enough`: with no more than so much of a kind left open, nothing is waited for any longer.
    """
    script = ("--script", "benchmarks.trace.answers:answer")
    with model_server(*script) as model_url, receiving() as receiver:
        environment = {
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": "not-a-key",
            # No small model of `up` itself: its processes would fill the machine, and its slots set
            # how many threads work on the first tier.
            "TIERLINE_LOCAL_URL": "http://127.0.0.1:9/v1",
            "TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
        }
        with (
            run_up(home, env=environment) as up,
            psycopg.connect(str(up.line["database_url"]), autocommit=True) as connection,
        ):
            add_feature(connection, two_tiers(FEATURE))
            url, key = str(up.line["api"]), str(up.line["api_key"])

            def sending(some: Sequence[Ask]) -> Sent:
                return asyncio.run(send(url, key, receiver.url, some, speed))

            watch = Watch(up, LOOK_S)
            sent = [sending(asks[:first])]
            _drain(connection, receiver, sent)
            before = watch.look().counts()
            progress(f"{first:,} requests: {_line(watch.look())}")
            with watch:
                sent.append(sending(_from_now(asks[first:])))
                _drain(connection, receiver, sent)
            progress(f"{len(asks):,} requests: {_line(watch.look())}")
            left = _left(watch, before, enough)
            watch.close()
            latencies = connection.execute(
                "SELECT extract(epoch FROM completed_at - created_at)::float8 AS s FROM jobs"
                " WHERE completed_at IS NOT NULL ORDER BY s"
            ).fetchall()
            ended = len(latencies)
            return Run(
                sent, ended, _announced(receiver), [s for (s,) in latencies], watch.seen, left
            )


def _from_now(asks: Sequence[Ask]) -> list[Ask]:
    """The same, with times from the first of them on."""
    return [Ask(one.number, one.at_s - asks[0].at_s, one.tokens_in, one.tokens_out) for one in asks]


def _announced(receiver: Receiver) -> int:
    """The number of jobs whose end a webhook announced."""
    bodies = [json.loads(request.body) for request in list(receiver.requests)]
    return len({body["data"]["id"] for body in bodies if body["type"] == "job.completed"})


def _drain(connection: psycopg.Connection[Any], receiver: Receiver, sent: Sequence[Sent]) -> None:
    """Wait until every job has ended and every webhook has arrived."""
    hooks = sum(one.hooks for one in sent)

    def open_jobs() -> int:
        row = connection.execute("SELECT count(*) FROM jobs WHERE completed_at IS NULL").fetchone()
        assert row is not None
        return int(row[0])

    left = open_jobs()
    while left:
        left = wait_until(partial(_fewer, open_jobs, left), STUCK_S, "another job to end", 0.5) - 1
    wait_until(lambda: _announced(receiver) >= hooks, STUCK_S, "the webhooks to arrive", 0.5)


def _fewer(count: Callable[[], int], than: int) -> int:
    """One more than the count, once it is smaller than it was: so that none is true as well."""
    now = count()
    return now + 1 if now < than else 0


def _left(watch: Watch, before: dict[str, int], enough: int) -> dict[str, int]:
    """What is still above what there was before, once that has had time to go."""
    until_s = time.monotonic() + BACK_S
    while True:
        now = watch.look().counts()
        left = {what: count - before.get(what, 0) for what, count in now.items()}
        left = {what: more for what, more in left.items() if more > 0}
        if max(left.values(), default=0) <= enough or time.monotonic() > until_s:
            return left
        time.sleep(LOOK_S)


def _line(held: Held) -> str:
    sizes = ", ".join(f"{name} {rss / MIB:.0f}" for name, rss in held.rss.items())
    threads, files = sum(held.threads.values()), sum(held.files.values())
    connections = sum(held.postgres.values())
    return (
        f"MiB: {sizes}; {threads} threads, {files} open files, {connections} connections to"
        f" Postgres, {held.broker_clients} to the broker"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace", description=__doc__)
    parser.add_argument("--trace", type=Path, default=TRACE, help="a CSV of arrivals and lengths")
    parser.add_argument("--speed", type=float, default=10.0, help="times as fast as they came")
    parser.add_argument("--requests", type=int, default=None, help="only the first so many")
    arguments = read_arguments(parser, {"requests": 2_000})
    if not arguments.trace.is_file():
        parser.error(f"there is no trace at {arguments.trace}; --trace names one")
    asks = read_trace(arguments.trace, arguments.requests)
    with tempfile.TemporaryDirectory(prefix="tierline-bench-") as folder:
        result = run(Path(folder) / "home", asks, arguments.speed)
    for what, more in result.left.items():
        progress(f"left: {more} {what}")
    whole = arguments.requests is None
    return hand_over(_figures(result, asks, arguments.speed, whole), as_json=arguments.json)


def _figures(result: Run, asks: Sequence[Ask], speed: float, whole: bool) -> list[Figure]:
    late_s = max(one.latest_s for one in result.sent)
    return [
        Figure("trace: requests refused", len(asks) - result.accepted, "", 0, True),
        Figure("trace: jobs that did not end", result.accepted - result.ended, "", 0, True),
        Figure("trace: webhooks that did not arrive", result.hooks - result.announced, "", 0, True),
        Figure("trace: left open of one kind, at most", most_left(result), "", FEW, True),
        *(_growth(result.seen, name, whole) for name in PROCESSES),
        Figure("  broker's memory, at the end", result.seen[-1].broker_bytes / MIB, "MiB"),
        _slope(result, asks, speed),
        Figure("  submit → completed, p50", share(result.latencies_s, 0.5) * 1000, "ms"),
        Figure("  submit → completed, p99", share(result.latencies_s, 0.99) * 1000, "ms"),
        Figure("  sent after its time, at most", late_s, "s"),
    ]


def most_left(result: Run) -> int:
    """Of threads, files or connections of one process, how many more there are than at first."""
    return max(result.left.values(), default=0)


def _growth(seen: Sequence[Held], name: str, whole: bool) -> Figure:
    """Of one process's memory. Judged over the whole hour only: less is all warming up."""
    tenth = max(1, len(seen) // 10)
    later = [held.rss[name] for held in seen[len(seen) // 4 :]]
    growth = (median(later[-tenth:]) / median(later[:tenth]) - 1) * 100
    target = TARGET_GROWTH if whole and name != NOT_JUDGED else None
    return Figure(
        f"trace: growth of {name}", growth, "%", target, True, later[0] / MIB, later[-1] / MIB
    )


def _slope(result: Run, asks: Sequence[Ask], speed: float) -> Figure:
    later = result.seen[len(result.seen) // 4 :]
    line = linear_regression([held.at_s for held in later], [held.rss["slm"] for held in later])
    a_second = len(asks) / (asks[-1].at_s / speed)
    return Figure("  slope of slm after a quarter", line.slope / a_second, "bytes/job")


if __name__ == "__main__":
    sys.exit(main())
