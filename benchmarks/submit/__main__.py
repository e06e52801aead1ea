"""`python -m benchmarks.submit`: POST /v1/jobs beside hand-written endpoints, as ratios.

All three are one process on the same Postgres, with as many connections, loaded in turns; each
round's ratio is of neighbours in time, and the medians are what counts. Asked for: at least 0.8.
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
from benchmarks.submit.load import Round, load
from tests.support.rows import add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.services.accounts.accounts import make_run_key
from tierline.stack.ports import free_port

WANTED = 0.8
OURS = "POST /v1/jobs"


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
            sides = {
                OURS: (ours, "/v1/jobs"),
                "plain": (theirs, "/plain"),
                "strong": (theirs, "/strong"),
            }
            rounds: dict[str, list[Round]] = {name: [] for name in sides}
            for number in range(arguments.rounds + 1):
                for name, (port, path) in sides.items():
                    one = uvloop.run(
                        load(
                            port,
                            path,
                            key,
                            seconds=arguments.seconds if number else 1.0,  # the first warms up
                            connections=arguments.connections,
                            name=f"{name.replace(' ', '')}-{number}",
                        )
                    )
                    if number:
                        rounds[name].append(one)
                if number:
                    progress(
                        f"round {number}: "
                        + ", ".join(
                            f"{name} {found[-1].rate:.0f}/s" for name, found in rounds.items()
                        )
                    )
    return hand_over(_figures(rounds), as_json=arguments.json)


def _figures(rounds: Mapping[str, Sequence[Round]]) -> list[Figure]:
    mine = rounds[OURS]
    figures: list[Figure] = []
    for name, found in rounds.items():
        if name != OURS:
            ratios = [one.rate / other.rate for one, other in zip(mine, found, strict=True)]
            figures.append(
                Figure(
                    f"{OURS} / {name} endpoint",
                    median(ratios),
                    "",
                    WANTED,
                    low=min(ratios),
                    high=max(ratios),
                )
            )
    for name, found in rounds.items():
        rates = [one.rate for one in found]
        shown = name if name == OURS else f"{name} endpoint"
        figures.append(
            Figure(f"  {shown}", median(rates), "jobs/s", low=min(rates), high=max(rates))
        )
    p50, p99 = (median(share(one.latencies_s, part) for one in mine) for part in (0.5, 0.99))
    figures.append(Figure(f"  {OURS} under this load, p50", p50 * 1000, "ms"))
    figures.append(Figure(f"  {OURS} under this load, p99", p99 * 1000, "ms"))
    return figures


if __name__ == "__main__":
    sys.exit(main())
