"""`python -m benchmarks.evaluation`: does the interval of `tierline eval` hold under extension?

Simulated evaluations of a tier that keeps 93% of the last tier's quality are extended from 30 to
2,000 examples, with a look after each extension. Counted is how often an interval covers the true
ratio at every look: the confidence sequence that decides, and Fieller's, which holds for one look
(the bootstrap agrees with it). Its price is the width at the same number of examples.
"""

import argparse
import sys

import numpy as np

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.evaluation.compare import fieller
from tierline.evaluation.sequence import ratio_bounds

LOOKS = (30, 60, 120, 250, 500, 1_000, 2_000)
RATIO, LARGE, EXTRA = 0.93, 0.92, 0.02
CONFIDENCE = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="simulated evaluations")
    arguments = read_arguments(parser, {"runs": 200})
    draw = np.random.default_rng(20)
    covered = {"confidence sequence": 0, "interval for one look": 0}
    widths: dict[int, list[float]] = {n: [] for n in LOOKS}
    for run in range(arguments.runs):
        if run % 200 == 0:
            progress(f"{run} of {arguments.runs}")
        right = draw.random(LOOKS[-1]) < LARGE
        kept = draw.random(LOOKS[-1]) >= 1.0 - RATIO + EXTRA / LARGE
        small = np.where(right, kept, draw.random(LOOKS[-1]) < EXTRA / (1.0 - LARGE)).astype(float)
        large = right.astype(float)
        always = dict.fromkeys(covered, True)
        for n in LOOKS:
            low, high = ratio_bounds(small[:n], large[:n], CONFIDENCE) or (0.0, np.inf)
            plain = fieller(small[:n], large[:n])
            always["confidence sequence"] &= low <= RATIO <= high
            if plain is None or plain.low == plain.high:  # no pair differs: it says nothing yet
                continue
            always["interval for one look"] &= plain.low <= RATIO <= plain.high
            widths[n].append((high - low) / (plain.high - plain.low))
        for name, good in always.items():
            covered[name] += good
    share = {name: 100 * count / arguments.runs for name, count in covered.items()}
    return hand_over(
        [
            Figure("covers at all of 7 looks: the sequence", share["confidence sequence"], "%", 95),
            Figure("… an interval for one look", share["interval for one look"], "%"),
            *(
                Figure(f"width beside that of one look, n={n:,}", float(np.median(widths[n])), "x")
                for n in LOOKS
            ),
        ],
        as_json=arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
