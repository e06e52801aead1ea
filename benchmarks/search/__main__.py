"""`python -m benchmarks.search`: what the threshold search serves, and what it breaks.

A thousand simulated sets of outcomes for each number of outcomes and each promise, with a strong
and a weak signal. Power is what is served, as a share of what the oracle serves, which knows every
error rate. A promise that is broken in more than 62 of 1,000 sets would be more than 5% and its
chance. LTT and SGR get the same outcomes.
"""

import argparse
import sys

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.search.methods import KINDS, METHODS, draw, result

SETS = 1_000
MOST_BROKEN = 62
COUNTS = (300, 1_000, 3_000)
PROMISES = (0.01, 0.03, 0.05)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, *COUNTS], help="outcomes")
    arguments = read_arguments(parser, {"counts": [300, 1_000]})
    figures = []
    for kind in KINDS:
        for count in arguments.counts:
            progress(f"{kind.name}, {count:,} outcomes")
            sets = draw(kind, SETS, count, seed=count)
            for max_error in PROMISES:
                for name, method in METHODS.items():
                    seen = result(kind, method(sets, max_error), max_error)
                    what = f"{kind.name}, {max_error:.0%}, n={count:,}: {name}"
                    figures += [
                        Figure(f"{what}, power", 100 * seen.power, "%"),
                        Figure("  finds a promise", 100 * seen.promised, "%"),
                        Figure("  broken of 1,000", seen.broken, "", MOST_BROKEN, at_most=True),
                    ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
