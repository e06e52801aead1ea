"""`python -m benchmarks.openai_door`: POST /openai/v1/responses beside POST /v1/jobs.

One connection sends to both in turn, one request at a time, and both write the same job. The figure
is the difference of the medians of each round. Target: at most 0.5 ms. The same is shown for
reading a job that waits.
"""

import argparse
import http.client
import json
import sys
import time
from statistics import median
from typing import Any

import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, of_rounds, progress
from benchmarks.stage import api, stage
from tests.support.database.rows import add_feature, two_tiers
from tierline.services.accounts.accounts import make_run_key

MOST_MS = 0.5
TEXT = "Invoice A-17 of Nordwind GmbH\nTotal due: 12.50 EUR\n" * 6
METADATA = {"source": "benchmark"}
JOBS, RESPONSES = "/v1/jobs", "/openai/v1/responses"
BODIES = {
    JOBS: {"feature": "echo", "input": {"text": TEXT}, "metadata": METADATA},
    RESPONSES: {"model": "echo", "input": TEXT, "metadata": METADATA, "background": True},
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.openai_door", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=400, help="of each kind in a round")
    arguments = read_arguments(parser, {"rounds": 3, "requests": 100})
    with stage() as ground:
        with psycopg.connect(ground.database_url, autocommit=True) as connection:
            add_feature(connection, two_tiers("echo"))
        key = make_run_key(ground.database_url, "benchmark")
        with api(ground.environment()) as url:
            asking = _Asking(int(url.rpartition(":")[2]), key)
            _round(asking, arguments.requests)  # warms up
            rounds = [_round(asking, arguments.requests) for _ in range(arguments.rounds)]
    for number, one in enumerate(rounds, 1):
        medians = ", ".join(f"{name} {ms:.2f} ms" for name, ms in one.items())
        progress(f"round {number}: {medians}")
    return hand_over(_figures(rounds), as_json=arguments.json)


class _Asking:
    """One kept connection."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def time_ms(self, method: str, path: str, body: bytes | None = None) -> tuple[float, Any]:
        begun = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        raw = response.read()
        took_ms = (time.perf_counter() - begun) * 1000
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {raw[:300]!r}")
        return took_ms, json.loads(raw)


def _round(asking: _Asking, requests: int) -> dict[str, float]:
    """The median of each kind of request, in ms."""
    times: dict[str, list[float]] = {}
    bodies = {path: json.dumps(body).encode() for path, body in BODIES.items()}
    for _ in range(requests):
        for path, body in bodies.items():
            took_ms, made = asking.time_ms("POST", path, body)
            times.setdefault(f"POST {path}", []).append(took_ms)
            took_ms, _ = asking.time_ms("GET", f"{path}/{made['id']}")
            times.setdefault(f"GET {path}", []).append(took_ms)
    return {name: median(each) for name, each in times.items()}


def _figures(rounds: list[dict[str, float]]) -> list[Figure]:
    figures = [
        of_rounds(
            f"{method} {RESPONSES} more than {JOBS}, p50",
            [one[f"{method} {RESPONSES}"] - one[f"{method} {JOBS}"] for one in rounds],
            "ms",
            MOST_MS,
            at_most=True,
        )
        for method in ("POST", "GET")
    ]
    for name in rounds[0]:
        figures.append(of_rounds(f"  {name}, p50", [one[name] for one in rounds], "ms"))
    return figures


if __name__ == "__main__":
    sys.exit(main())
