"""`python -m benchmarks.replay`: `tierline replay` on 14,037 recorded outcomes.

As many rows as MMLU's recorded outcomes have. Prompts are drawn from a vocabulary by Zipf's law,
and their vectors lie around sixty centres, each with its own share of right weak answers. The
clock runs over all fits and the table; embedding the prompts is not part of it, because a cache
keeps them (`benchmarks.embedding` measures that).
"""

import argparse
import resource
import sys
import time

import numpy as np

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.base.vectors import DIMENSIONS, Vectors
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.replay import Recorded, replay

ROWS = 14_037
TARGET_S, TARGET_GB = 60.0, 1.0
KINDS, WORDS = 60, 4_000


def recorded(count: int) -> tuple[list[Recorded], Vectors]:
    """Outcomes of both tiers, and the vectors of their prompts."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(KINDS, DIMENSIONS))
    kinds = draw.integers(0, KINDS, count)
    vectors = centres[kinds] + draw.normal(size=(count, DIMENSIONS)) * 1.2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = draw.random(count) < 1.0 / (1.0 + np.exp(-1.2 - draw.normal(size=KINDS)[kinds]))
    strong = draw.random(count) < 0.93
    often = 1.0 / np.arange(1, WORDS + 1)
    often /= often.sum()
    rows = []
    for number in range(count):
        words = draw.choice(WORDS, draw.integers(8, 60), p=often)
        outcome = Outcome(float(right[number]), float(strong[number]), 1e-4, 2e-3)
        signal = float(draw.normal(1.0 if right[number] else 0.0))
        prompt = " ".join(f"w{word}" for word in words)
        rows.append(Recorded(str(number), prompt, outcome, not right[number], {"margin": signal}))
    return rows, vectors.astype(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = read_arguments(parser, {"rows": 2_000})
    rows, vectors = recorded(arguments.rows)
    progress(f"replaying {len(rows):,} rows")
    began, cpu = time.perf_counter(), time.process_time()
    result = replay(rows, max_error=0.1, confidence=0.95, embeddings=vectors)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    progress(f"{result.main or 'no policy'} keeps the promise at the least cost")
    figures = [
        Figure(f"replay of {len(rows):,} rows", took_s, "s", TARGET_S, at_most=True),
        Figure("  processor time", cpu_s, "s"),
        Figure("  most memory of the process", gigabytes, "GB", TARGET_GB, at_most=True),
    ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
