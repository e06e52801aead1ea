"""`python -m benchmarks.recommended`: how good the number is that `calibrate --dry-run` recommends.

The recommendation is simulated from the outcomes that the scores are fitted on, a quarter of what
there is at the time. Here the error rate at each score is known. So the chance that a search finds
a promise at the recommended number is known too: it should be 90%. A run draws its outcomes, asks
for the recommendation, and looks up that chance, which was measured on sets of their own.
"""

import argparse
import sys

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.search.methods import CONFIDENCE, KINDS, NOTHING, Kind, draw, tierline
from tierline.routing.thresholds.promise import FIT_SHARE, outcomes_for
from tierline.routing.thresholds.search_chance import TARGET_CHANCE, chances
from tierline.routing.thresholds.threshold_search import Scored, confidence_of_attempt

CASES = ((KINDS[0], 0.03), (KINDS[0], 0.05), (KINDS[1], 0.05))
LOOKS = (100, 200, 400)  # outcomes at the time of the dry run
SETS = 200  # per number of outcomes, to measure the chance
NUMBERS = (
    100,
    150,
    200,
    300,
    400,
    600,
    800,
    1_200,
    1_600,
    2_400,
    3_200,
    4_800,
    6_400,
    9_600,
    19_200,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommended", description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="dry runs of each case")
    arguments = read_arguments(parser, {"runs": 4})
    all_figures = []
    with threadpool_limits(limits=1):
        for kind, max_error in CASES:
            all_figures += of_case(kind, max_error, arguments.runs)
    return hand_over(all_figures, as_json=arguments.json)


def of_case(kind: Kind, max_error: float, runs: int) -> list[Figure]:
    """The figures of one kind of outcomes and one promise."""
    name = f"{kind.name}, {max_error:.0%}"
    progress(f"{name}: the chance by the number of outcomes")
    success_at = [success(kind, max_error, number) for number in NUMBERS]
    enough = next(
        (number for number, one in zip(NUMBERS, success_at, strict=True) if one >= TARGET_CHANCE),
        None,
    )
    figures = [Figure(f"{name}: outcomes that suffice in 90%", float(enough or NUMBERS[-1]), "")]
    for at in LOOKS:
        progress(f"{name}: {runs} dry runs at {at} outcomes")
        numbers = [recommended(kind, max_error, at, seed) for seed in range(runs)]
        given = [float(one) for one in numbers if one is not None]
        if not given:
            figures.append(Figure(f"  at {at}: no recommendation, of {runs}", float(runs), ""))
            continue
        hits = np.interp(given, NUMBERS, success_at)
        figures += [
            Figure(f"  at {at}: recommended", float(np.median(given)), "", *_spread(given)),
            Figure("    … succeeds in", 100 * float(hits.mean()), "%", *_spread(100 * hits)),
        ]
    return figures


def _spread(values: object) -> tuple[None, bool, float, float]:
    """No wish, and the 10% and 90% quantiles."""
    low, high = np.quantile(np.asarray(values), [0.1, 0.9])
    return None, False, float(low), float(high)


def success(kind: Kind, max_error: float, number: int) -> float:
    """The share of sets of so many outcomes in which the search finds a promise."""
    sets = draw(kind, SETS, number, seed=number)
    return float((tierline(sets, max_error) < NOTHING).mean())


def recommended(kind: Kind, max_error: float, at: int, seed: int) -> int | None:
    """The number that a dry run recommends; None: it recommends none."""
    some = draw(kind, 1, at, seed=1_000_000 + at * 1_000 + seed)
    count = round(at * FIT_SHARE)
    fitted = [
        Scored(float(score), bool(wrong))
        for score, wrong in zip(some.scores[0, :count], some.wrong[0, :count], strict=True)
    ]
    chances_at = chances(fitted, at - count, max_error, confidence_of_attempt(1, CONFIDENCE))
    if chances_at is None or chances_at.tested is None:
        return None
    return outcomes_for(chances_at.tested)


if __name__ == "__main__":
    sys.exit(main())
