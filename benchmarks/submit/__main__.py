"""`python -m benchmarks.submit`: POST /v1/jobs and GET /v1/jobs/{id} beside hand-written endpoints.

Each side is one process on the same Postgres, with as many connections. They are loaded in turns;
each round's ratio is of neighbours in time, and the medians count. Target: POST and GET at least
0.8 of the hand-written endpoint's rate, and GET at least 1.5 of POST's rate.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from statistics import median

import psycopg
import uvloop

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress, share
from benchmarks.stage import answers, api, process, stage
from benchmarks.submit.load import Requests, Round, load, reads, submissions
from tests.support.database.rows import add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.services.accounts.accounts import make_run_key
from tierline.stack.ports import free_port

TARGET = 0.8
TARGET_READS = 1.5  # of the rate of submissions
OURS = "POST /v1/jobs"
READ = "GET /v1/jobs/{id}"
STRONG_READ = "strong GET"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.submit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round on one endpoint")
    parser.add_argument("--connections", type=int, default=32)
    arguments = read_arguments(parser, {"rounds": 3, "seconds": 1.5})
    with stage() as ground:
        with psycopg.connect(ground.database_url, autocommit=True) as connection:
            add_feature(connection, two_tiers("echo"))
        key = make_run_key(ground.database_url, "benchmark")
        theirs = free_port()
        environment = ground.environment()
        with (
            api(environment) as url,
            process(["-m", "benchmarks.submit.yardstick", str(theirs)], environment),
        ):
            ours = int(url.rpartition(":")[2])
            wait_until(
                lambda: answers(f"http://127.0.0.1:{theirs}/none", 404), 60, "the yardstick", 0.05
            )
            submitting = {
                OURS: (ours, "/v1/jobs"),
                "plain": (theirs, "/plain"),
                "strong": (theirs, "/strong"),
            }
            reading = {READ: (ours, "/v1/jobs"), STRONG_READ: (theirs, "/strong")}
            rounds: dict[str, list[Round]] = {name: [] for name in (*submitting, *reading)}

            def measure(name: str, port: int, requests: Requests, number: int) -> Round:
                one = uvloop.run(
                    load(
                        port,
                        requests,
                        seconds=arguments.seconds if number else 1.0,  # the first warms up
                        connections=arguments.connections,
                    )
                )
                if number:
                    rounds[name].append(one)
                return one

            for number in range(arguments.rounds + 1):
                job_ids: tuple[str, ...] = ()
                for name, (port, path) in submitting.items():
                    keys = f"{name.replace(' ', '')}-{number}"
                    one = measure(name, port, submissions(path, key, keys), number)
                    job_ids = job_ids or one.job_ids
                for name, (port, path) in reading.items():
                    measure(name, port, reads(path, key, job_ids), number)
                if number:
                    progress(
                        f"round {number}: "
                        + ", ".join(
                            f"{name} {measured[-1].rate:.0f}/s" for name, measured in rounds.items()
                        )
                    )
    return hand_over(_figures(rounds), as_json=arguments.json)


def _figures(rounds: Mapping[str, Sequence[Round]]) -> list[Figure]:
    mine = rounds[OURS]
    figures = [
        _ratio(OURS, "plain", "plain endpoint", TARGET, rounds),
        _ratio(OURS, "strong", "strong endpoint", TARGET, rounds),
        _ratio(READ, STRONG_READ, "strong endpoint", TARGET, rounds),
        _ratio(READ, OURS, OURS, TARGET_READS, rounds),
    ]
    for name, measured in rounds.items():
        rates = [one.rate for one in measured]
        shown = name if name in (OURS, READ) else f"{name} endpoint"
        figures.append(
            Figure(f"  {shown}", median(rates), "jobs/s", low=min(rates), high=max(rates))
        )
    p50, p99 = (median(share(one.latencies_s, part) for one in mine) for part in (0.5, 0.99))
    figures.append(Figure(f"  {OURS} under this load, p50", p50 * 1000, "ms"))
    figures.append(Figure(f"  {OURS} under this load, p99", p99 * 1000, "ms"))
    return figures


def _ratio(
    name: str, other: str, shown: str, target: float, rounds: Mapping[str, Sequence[Round]]
) -> Figure:
    """The rates of one side as shares of another's, round by round."""
    ratios = [one.rate / two.rate for one, two in zip(rounds[name], rounds[other], strict=True)]
    return Figure(
        f"{name} / {shown}", median(ratios), "", target, low=min(ratios), high=max(ratios)
    )


if __name__ == "__main__":
    sys.exit(main())
