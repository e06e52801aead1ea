"""`python -m benchmarks.decision`: where a job begins, and whether an answer is sure enough.

The first is what a submission decides, by pins and a canary; the second what a worker decides about
an answer under a calibration: its signals, their score and the threshold. No database, no model, no
embedding. The yardstick is SHA-256 of the same input, once.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress, share
from tests.support.database.rows import two_tiers
from tierline.base.json_text import canonical_json
from tierline.checks.signals import signals_of
from tierline.features import Feature
from tierline.features.routing_options import Canary
from tierline.routing.first_tier import JobOrigin, first_tier
from tierline.routing.thresholds.combination import Combination, Term

TARGET_MS = 1.0
INPUT = {"text": "The parcel with order ZK-4410 came twice, and one of them was open. " * 8}
OUTPUT = {"text": "ZK-4410", "amount": 12.5}
SCORE = Combination(
    0.3,
    {
        name: Term(0.5, 0.2, 0.7)
        for name in ("agreement", "passed", "input_length", "output_length", "repaired", "grounded")
    },
)


def feature() -> Feature:
    pinned = {f"account-{number}": "frontier" for number in range(200)}
    document = two_tiers().to_dict()
    document |= {"pinned": pinned, "canary": Canary("frontier", 0.05).to_dict()}
    return Feature.from_dict(document)


def sure(number: int) -> bool:
    signals = {"agreement": (number % 5) / 5, "passed": 1.0}
    signals |= signals_of(INPUT, OUTPUT, repaired=False)
    return SCORE.score(signals) >= 0.9


def digest(number: int) -> bytes:
    return hashlib.sha256(f"{number}{canonical_json(INPUT)}".encode()).digest()


def milliseconds(work: Callable[[int], object], times: int) -> list[float]:
    """Of each call, in order of size; the first tenth, which warms up, is left out."""
    times_ms = []
    for number in range(times):
        began = time.perf_counter()
        work(number)
        times_ms.append((time.perf_counter() - began) * 1000)
    return sorted(times_ms[times // 10 :])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision", description=__doc__)
    arguments = read_arguments(parser, {})
    times = 2_000 if arguments.short else 50_000
    routed = feature()
    progress("decisions")
    begins = milliseconds(
        lambda n: first_tier(routed, JobOrigin(f"account-{n}", f"user-{n}")), times
    )
    judged = milliseconds(sure, times)
    yardstick = milliseconds(digest, times)
    figures = [
        Figure(
            f"{what}, p99",
            *(share(times_ms, 0.99), "ms", TARGET_MS),
            at_most=True,
            low=times_ms[0],
            high=times_ms[-1],
        )
        for what, times_ms in (
            ("where a job begins", begins),
            ("whether an answer is sure enough", judged),
        )
    ]
    figures.append(
        Figure("  the latter / SHA-256 of its input", median(judged) / median(yardstick), "")
    )
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
