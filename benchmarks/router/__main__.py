"""`python -m benchmarks.router`: the APGR of routers on outcomes of a small and a large model.

The outcomes are of BANKING77: a small classifier (naive Bayes on words, 10 training texts of each
intent) and a large one (a linear SVM on words and pairs of words, all training texts) answer the
test texts. An answer of the large one costs ten times as much, whatever its text. With --recorded
FILE the outcomes are those of a file for `tierline replay`.

APGR is the share of the large model's lead that a router keeps, on average over all shares of
requests sent to it: 0.5 is a coin. Everything is cross-fitted in five folds, and the difference to
prompt length has a paired 95% interval.
"""

import argparse
import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.base.embeddings import Embedder
from tierline.base.vectors import Vectors
from tierline.cli.improve.reports.recorded_outcomes import Measure, read_recorded
from tierline.features.comparison import Comparison
from tierline.routing.learned.complexity import text_signals
from tierline.routing.replay import rankers
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.gain import gain
from tierline.routing.replay.paired import apgr, apgr_beside
from tierline.routing.replay.replay import cross_fitted

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
OF_EACH = 10  # training texts of an intent that the small model sees
USD = (1e-5, 1e-4)  # an answer of the small and of the large model


def read(path: Path, most: int | None) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return random.Random(0).sample(rows, min(most or len(rows), len(rows)))


def banking(data: Path, most: int | None) -> tuple[list[str], list[Outcome], Vectors]:
    """The test texts, what both models made of them, and their embeddings."""
    train, test = read(data / "train.csv", most), read(data / "test.csv", most)
    texts = [text for text, _ in test]
    progress(f"embedding {len(texts):,} texts")
    vectors = Embedder(threads=2).embed(texts)
    few = [
        row
        for label in sorted({label for _, label in train})
        for row in [one for one in train if one[1] == label][:OF_EACH]
    ]
    words = CountVectorizer()
    small = MultinomialNB(alpha=0.1).fit(
        words.fit_transform([text for text, _ in few]), [label for _, label in few]
    )
    pairs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    large = LinearSVC().fit(
        pairs.fit_transform([text for text, _ in train]), [label for _, label in train]
    )
    outcomes = [
        Outcome(float(weak == label), float(strong == label), *USD)
        for (_, label), weak, strong in zip(
            test,
            small.predict(words.transform(texts)),
            large.predict(pairs.transform(texts)),
            strict=True,
        )
    ]
    return texts, outcomes, vectors


def figures(
    name: str, prompts: Sequence[str], outcomes: Sequence[Outcome], vectors: Vectors
) -> list[Figure]:
    """The APGR of each router, and the difference of the first to prompt length."""
    right = [one.weak_quality >= 1.0 for one in outcomes]
    count = len(prompts)
    scores: dict[str, list[float]] = {}
    for what, ranker in (
        ("gain", gain(prompts, outcomes, vectors)),
        (
            "where the small model is wrong",
            rankers.complexity([text_signals(one) for one in prompts], right, vectors),
        ),
        ("kNN", rankers.nearest(prompts, right, vectors)),
    ):
        progress(f"{name}: {what}")
        scores[what] = cross_fitted(count, ranker)
    scores["prompt length"] = [-float(len(prompt)) for prompt in prompts]
    draw = random.Random(0)
    scores["a coin"] = [draw.random() for _ in prompts]
    scores["the oracle"] = [one.weak_quality - one.strong_quality for one in outcomes]
    lead = apgr_beside(outcomes, scores["gain"], scores["prompt length"])
    small, large = (
        100 * sum(values) / count
        for values in zip(
            *((one.weak_quality, one.strong_quality) for one in outcomes), strict=True
        )
    )
    return [
        Figure(f"{name}: the small model right, {count:,} texts", small, "%"),
        Figure("  the large model right", large, "%"),
        *(Figure(f"  APGR, {what}", apgr(outcomes, found), "") for what, found in scores.items()),
        Figure("  gain over length, APGR", lead.mean, "", None, False, lead.low, lead.high),
        Figure("  … its lower 95% bound", lead.low, "", 0.0),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.router", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="with train.csv and test.csv")
    parser.add_argument(
        "--recorded", type=Path, nargs="+", default=[], help="files for `tierline replay`"
    )
    arguments = read_arguments(parser, {})
    found: list[Figure] = []
    if (arguments.data / "train.csv").is_file():
        rows = banking(arguments.data, 1_500 if arguments.short else None)
        found += figures("BANKING77", *rows)
    else:
        progress(f"there is no {arguments.data / 'train.csv'}: BANKING77 is left out")
    for path in arguments.recorded:
        found += figures(path.name, *recorded(path))
    return hand_over(found, as_json=arguments.json)


def recorded(path: Path) -> tuple[list[str], list[Outcome], Vectors]:
    """The prompts and outcomes of a file, and the prompts' embeddings."""
    rows = read_recorded(path, Measure(Comparison("normalised")))
    prompts = [row.prompt for row in rows]
    progress(f"embedding {len(prompts):,} prompts of {path.name}")
    return prompts, [row.outcome for row in rows], Embedder(threads=2).embed(prompts)


if __name__ == "__main__":
    sys.exit(main())
