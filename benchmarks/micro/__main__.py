"""`python -m benchmarks.micro`: what the micro tier serves of BANKING77, and how its promises hold.

A head on sentence embeddings is trained on one half of the training texts and calibrated on the
other; no fit and no threshold sees a test text. Cost is of a micro answer at nothing against a
frontier call for each text, so that what is saved is what is served. Then ten of the 77 intents are
withheld from both halves, as if customers asked of things that nobody had thought of: about one
test text in eight is then of a kind that was never seen. The promise is calibrated for a share of
strangers (--strangers), and shown beside it is what a head without strangers promises and breaks.
"""

import argparse
import csv
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.embeddings import Embedder
from tierline.routing.calibration import Scored, calibrate, grid
from tierline.routing.micro import Micro, mixed, strangers, train
from tierline.vectors import Vectors

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
PROMISES = (0.03, 0.01)
CONFIDENCE = 0.95
WITHHELD = 10  # intents


@dataclass(frozen=True)
class Texts:
    """Labelled texts, embedded."""

    vectors: Vectors
    labels: list[str]

    def take(self, indexes: Sequence[int]) -> "Texts":
        return Texts(self.vectors[list(indexes)], [self.labels[index] for index in indexes])

    def without(self, labels: set[str]) -> "Texts":
        return self.take([i for i, label in enumerate(self.labels) if label not in labels])


@dataclass(frozen=True)
class Held:
    """One promise and what came of it on the test texts."""

    served: float  # share of all test texts
    error: float  # share of those served that are wrong


def read(path: Path, embedder: Embedder, most: int | None) -> Texts:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if most is not None:
        rows = random.Random(0).sample(rows, min(most, len(rows)))
    progress(f"embedding {len(rows):,} texts of {path.name}")
    return Texts(embedder.embed([row["text"] for row in rows]), [row["category"] for row in rows])


def promises(
    fitting: Texts, calibrating: Texts, test: Texts, share: float
) -> tuple[float, dict[float, Held]]:
    """The head's accuracy on the test texts, and what each promise came to."""
    trained = train(fitting.vectors, fitting.labels, withhold=share > 0)
    plan, scored = list(trained.planned), _scored(trained.micro, calibrating)
    if share > 0:
        strange = strangers(
            trained.micro,
            *(fitting.vectors, fitting.labels),
            *(calibrating.vectors, calibrating.labels),
        )
        plan, scored = mixed(plan, strange, share), mixed(scored, strange, share)
    seen = _scored(trained.micro, test)
    found = {}
    for promise in PROMISES:
        thresholds = grid([one.score for one in plan])
        chosen = calibrate(scored, thresholds, promise, CONFIDENCE, planned_on=plan).chosen
        served = [one for one in seen if chosen is not None and one.score >= chosen.threshold]
        errors = sum(one.wrong for one in served)
        found[promise] = Held(len(served) / len(seen), errors / len(served) if served else 0.0)
    return sum(not one.wrong for one in seen) / len(seen), found


def _scored(micro: Micro, texts: Texts) -> list[Scored]:
    answers = micro.answer(texts.vectors)
    return [
        Scored(answer.score, answer.label != label)
        for answer, label in zip(answers, texts.labels, strict=True)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="with train.csv and test.csv")
    parser.add_argument("--seed", type=int, default=0, help="of the halves and what is withheld")
    parser.add_argument(
        "--strangers", type=float, default=0.15, help="the share that the promise survives"
    )
    arguments = read_arguments(parser, {})
    most = 2_500 if arguments.short else None
    if not (arguments.data / "train.csv").is_file():
        progress(f"there is no {arguments.data / 'train.csv'}: nothing is measured")
        return hand_over([], as_json=arguments.json)
    embedder = Embedder(threads=2)
    texts = read(arguments.data / "train.csv", embedder, most)
    test = read(arguments.data / "test.csv", embedder, most)
    draw = np.random.default_rng(arguments.seed)
    order = [int(index) for index in draw.permutation(len(texts.labels))]
    halves = texts.take(order[0::2]), texts.take(order[1::2])
    gone = set(draw.choice(sorted(set(texts.labels)), WITHHELD, replace=False).tolist())

    progress("all intents known")
    accuracy, known = promises(*halves, test, 0.0)
    fewer = halves[0].without(gone), halves[1].without(gone)
    progress(f"{WITHHELD} intents withheld, without strangers")
    _, fooled = promises(*fewer, test, 0.0)
    progress(f"{WITHHELD} intents withheld, promised with a share of {arguments.strangers:g}")
    _, warned = promises(*fewer, test, arguments.strangers)

    whole = not arguments.short  # with a quarter of the texts the marks are out of reach
    figures = [Figure("micro: the head's accuracy", accuracy * 100, "%")]
    for promise in PROMISES:
        at = f"micro, promised {promise:.0%}"
        marks = {0.03: 81.0, 0.01: 63.0}
        served = (known[promise].served * 100, "%", *((marks[promise],) if whole else ()))
        figures += [
            Figure(f"{at}: served, and so saved", *served),
            Figure("  found wrong of it", *_error(known[promise], promise, whole), at_most=True),
            Figure(f"{at}, {WITHHELD} intents unknown: served", warned[promise].served * 100, "%"),
            Figure("  found wrong of it", *_error(warned[promise], promise, whole), at_most=True),
            Figure("  served without strangers", fooled[promise].served * 100, "%"),
            Figure("  found wrong of that", fooled[promise].error * 100, "%"),
        ]
    return hand_over(figures, as_json=arguments.json)


def _error(held: Held, promise: float, whole: bool) -> tuple[float, str, float | None]:
    return held.error * 100, "%", promise * 100 if whole else None


if __name__ == "__main__":
    sys.exit(main())
