"""`python -m benchmarks.drift`: how often drift is reported where there is none, and how soon a new
kind of input is.

Texts of BANKING77 and SNIPS are the traffic. A run draws a reference and days of other texts, one
check a day. If nothing changes, the run lasts a quarter of checks, and any alarm is a false one. It
uses all figures together: novelty at its three shares, near duplicates, mixture, length, labels,
and errors of five audited answers a day.
In the other runs a new kind of input, which the reference does not have, is a tenth of the traffic
from the sixth day on. The figure is the number of inputs until the alarm. Kinds take turns, and
each run has its own seed. A new kind of BANKING77 lies close to the other 76: the hard case.
Out-of-scope traffic is of many kinds: each input is unlike any other, so that only its own novelty
shows the change.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.command import read_arguments
from benchmarks.drift.traffic import (
    A_DAY,
    BANK,
    OUT_OF_SCOPE,
    SNIPS,
    WITHIN,
    Traffic,
    bank,
    commands,
    out_of_scope,
    run,
)
from benchmarks.figures import Figure, hand_over, progress
from tierline.base.embeddings import Embedder
from tierline.drift.wealth import CHECKS_A_TERM

DAYS = 25  # five of them quiet
FEW = 200  # known inputs: errors of so small a reference are what false alarms come from
AUDITS = 5  # answers a day that are audited, where nothing changes
FIRST_SEED = 10_000  # the tests' are others


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of each kind of traffic")
    parser.add_argument("--known", type=int, default=1_500, help="inputs of the reference")
    arguments = read_arguments(parser, {"runs": 4})
    for path in (BANK, SNIPS):
        if not path.exists():
            progress(f"there is no {path}: nothing is measured")
            return hand_over([], as_json=arguments.json)
    embedder = Embedder(threads=2)
    progress("embedding the texts")
    customers, spoken = bank(embedder, 4_000 if arguments.short else 10_003), commands(embedder)
    all_texts = customers.joined(spoken)
    runs, reference_size = arguments.runs, arguments.known
    figures = []
    for name, traffic, size in (
        ("BANKING77", customers, reference_size),
        (f"BANKING77, {FEW} known", customers, FEW),
        ("BANKING77 and SNIPS", all_texts, reference_size),
    ):
        progress(f"{runs} quarters of {name}, nothing changes")
        alarms = [_run(traffic, seed, size, CHECKS_A_TERM, audits=AUDITS) for seed in range(runs)]
        share = _percent([one is not None for one in alarms])
        figures.append(Figure(f"{name}: quarters with a false alarm", share, "%", 5.0, True))
    for name, traffic, kinds in (
        ("a 77th intent of BANKING77", customers, customers.kinds(40 if arguments.short else 100)),
        ("a SNIPS intent among the others and BANKING77", all_texts, sorted(set(spoken.labels))),
    ):
        progress(f"{runs} times {name}, in turn: {len(kinds)}")
        delays = [
            _run(traffic, seed, reference_size, DAYS, kinds[seed % len(kinds)])
            for seed in range(runs)
        ]
        figures += _detection(name, delays)
    what = f"out of scope: SNIPS and {OUT_OF_SCOPE} of 77 intents"
    progress(f"{runs} times {what}")
    delays = [
        _run(all_texts, seed, reference_size, DAYS, out_of_scope(customers, spoken, seed))
        for seed in range(runs)
    ]
    figures += _detection(what, delays)
    return hand_over(figures, as_json=arguments.json)


def _run(
    traffic: Traffic,
    seed: int,
    reference_size: int,
    days: int,
    new: str | Sequence[str] | None = None,
    audits: int = 0,
) -> int | None:
    return run(traffic, FIRST_SEED + seed, reference_size, days, new, audits=audits)[0]


def _percent(hits: Sequence[bool]) -> float:
    return 100.0 * sum(hits) / len(hits)


def _detection(what: str, after: Sequence[int | None]) -> list[Figure]:
    """A run without an alarm counts with all its inputs."""
    seen = sorted(one or DAYS * A_DAY for one in after)
    return [
        Figure(
            f"{what}: found within {WITHIN} inputs",
            _percent([one is not None and one <= WITHIN for one in after]),
            "%",
            90.0,
        ),
        Figure(
            "  inputs until it was, median",
            seen[len(seen) // 2],
            low=seen[0],
            high=seen[-1],
            unit="",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
