"""`python -m benchmarks.micro`: what the micro tier serves of BANKING77, and how its promises hold.

A head on sentence embeddings is trained on one half of the training texts and calibrated on the
other; no fit and no threshold sees a test text. Cost is of a micro answer at nothing against a
frontier call for each text, so that what is saved is what is served. Then ten of the 77 intents are
withheld from both halves, as if customers asked about things that nobody had planned for: about one
test text in eight is then of a kind that was never seen. Figures are the means of CUTS cuts. The
promise is calibrated for a share of
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
from tierline.base.embeddings import Embedder
from tierline.base.vectors import Vectors
from tierline.routing.learned.micro import Micro, mixed, strangers, train
from tierline.routing.thresholds.threshold_search import Scored, grid, search_threshold

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
PROMISES = (0.03, 0.01)
CONFIDENCE = 0.95
WITHHELD = 10  # intents
CUTS = 3  # ways to cut the texts in two: one of them says little about a promise of 1%
MARKS = {0.03: 0.81, 0.01: 0.63}  # shares served that a head on these embeddings was seen to reach


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


@dataclass(frozen=True)
class Cut:
    """One way to cut the texts in two, and what each promise came to on it."""

    accuracy: float
    all_known: dict[float, Held]
    fooled: dict[float, Held]
    warned: dict[float, Held]


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
    answers, unlike = _scored(trained.micro, calibrating)
    plan = list(trained.planned)
    scored = [one for one, novel in zip(answers, unlike, strict=True) if not novel]
    if share > 0:
        strange = strangers(
            trained.micro,
            *(fitting.vectors, fitting.labels),
            *(calibrating.vectors, calibrating.labels),
        )
        plan, scored = mixed(plan, strange, share), mixed(scored, strange, share)
    seen, unlike = _scored(trained.micro, test)
    by_promise = {}
    for promise in PROMISES:
        thresholds = grid([one.score for one in plan])
        chosen = search_threshold(scored, thresholds, promise, CONFIDENCE).chosen
        served = [
            one
            for one, novel in zip(seen, unlike, strict=True)
            if chosen is not None and not novel and one.score >= chosen.threshold
        ]
        errors = sum(one.wrong for one in served)
        by_promise[promise] = Held(len(served) / len(seen), errors / len(served) if served else 0.0)
    return sum(not one.wrong for one in seen) / len(seen), by_promise


def _scored(micro: Micro, texts: Texts) -> tuple[list[Scored], list[bool]]:
    """What it says to each text, and whether that is novel to it, so that it is not served."""
    answers = micro.answer(texts.vectors)
    scored = [
        Scored(answer.score, answer.label != label)
        for answer, label in zip(answers, texts.labels, strict=True)
    ]
    return scored, [answer.novel for answer in answers]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="with train.csv and test.csv")
    parser.add_argument("--seed", type=int, default=0, help="of the first cut and what is withheld")
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
    whole = not arguments.short  # with a quarter of the texts the marks are out of reach
    cuts = [
        _cut(texts, test, arguments.seed + number, arguments.strangers)
        for number in range(CUTS if whole else 1)
    ]
    accuracies = [cut.accuracy for cut in cuts]
    figures = [_figure("micro: the head's accuracy", accuracies)]
    for promise in PROMISES:
        at = f"micro, promised {promise:.0%}"
        mark = MARKS[promise] if whole else None
        most = promise if whole else None
        for title, held, target, allowed in (
            ("served, and so saved", [cut.all_known[promise] for cut in cuts], mark, most),
            (
                f"{WITHHELD} intents unknown: served",
                [cut.warned[promise] for cut in cuts],
                None,
                most,
            ),
            ("… without strangers: served", [cut.fooled[promise] for cut in cuts], None, None),
        ):
            figures += [
                _figure(f"{at}, {title}", [one.served for one in held], target),
                _figure("  found wrong of it", [one.error for one in held], allowed, at_most=True),
            ]
    return hand_over(figures, as_json=arguments.json)


def _cut(texts: Texts, test: Texts, seed: int, share: float) -> Cut:
    draw = np.random.default_rng(seed)
    order = [int(index) for index in draw.permutation(len(texts.labels))]
    halves = texts.take(order[0::2]), texts.take(order[1::2])
    gone = set(draw.choice(sorted(set(texts.labels)), WITHHELD, replace=False).tolist())
    progress(f"cut {seed}: all intents known")
    accuracy, all_known = promises(*halves, test, 0.0)
    fewer = halves[0].without(gone), halves[1].without(gone)
    progress(f"cut {seed}: {WITHHELD} intents withheld, without strangers")
    _, fooled = promises(*fewer, test, 0.0)
    progress(f"cut {seed}: {WITHHELD} intents withheld, promised with a share of {share:g}")
    _, warned = promises(*fewer, test, share)
    return Cut(accuracy, all_known, fooled, warned)


def _figure(
    what: str, shares: Sequence[float], target: float | None = None, *, at_most: bool = False
) -> Figure:
    """The mean of the cuts, in percent, with the least and the most."""
    percent = [share * 100 for share in shares]
    return Figure(
        what,
        sum(percent) / len(percent),
        "%",
        None if target is None else target * 100,
        at_most,
        min(percent),
        max(percent),
    )


if __name__ == "__main__":
    sys.exit(main())
