"""`python -m benchmarks.submit`: POST /v1/jobs beside hand-written endpoints, as ratios.

All three are one process on the same Postgres, with as many connections, loaded in turns; each
round's ratio is of neighbours in time, and the medians are what counts. Asked for: at least 0.8.
"""

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import httpx
import psycopg
import uvloop

from benchmarks.stage import process, stage
from benchmarks.submit.load import Round, load
from tests.support.rows import add_feature, two_tiers
from tierline.services.accounts import make_run_key
from tierline.stack.ports import free_port

WANTED = 0.8


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.submit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round on one endpoint")
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    with stage() as ground:
        with psycopg.connect(ground.database_url, autocommit=True) as connection:
            add_feature(connection, two_tiers("echo"))
        key = make_run_key(ground.database_url, "benchmark")
        ours, theirs = free_port(), free_port()
        environment = ground.environment()
        with (
            process(["-m", "api", "--port", str(ours)], environment),
            process(["-m", "benchmarks.submit.yardstick", str(theirs)], environment),
        ):
            _wait(lambda: httpx.get(f"http://127.0.0.1:{ours}/readyz").status_code == 200)
            _wait(lambda: httpx.get(f"http://127.0.0.1:{theirs}/none").status_code == 404)
            sides = {
                "POST /v1/jobs": (ours, "/v1/jobs"),
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
    return _report(rounds)


def _report(rounds: dict[str, list[Round]]) -> int:
    mine = rounds["POST /v1/jobs"]
    sys.stdout.write(f"{'':14} {'jobs/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>7}\n")
    ratios = {}
    for name, found in rounds.items():
        pairs = zip(mine, found, strict=True)
        ratios[name] = median(one.rate / other.rate for one, other in pairs)
        p50, p99 = (
            median(one.latencies_s[int(len(one.latencies_s) * share)] * 1000 for one in found)
            for share in (0.5, 0.99)
        )
        rate = median(one.rate for one in found)
        said = "" if found is mine else f"{ratios[name]:7.2f}"
        sys.stdout.write(f"{name:14} {rate:8.0f} {p50:8.1f} {p99:8.1f} {said}\n")
    sys.stdout.write(f"ratio: of POST /v1/jobs to the endpoint; asked for at least {WANTED}\n")
    return 0 if min(ratios.values()) >= WANTED else 1


def _wait(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError("a server did not start")


if __name__ == "__main__":
    sys.exit(main())
