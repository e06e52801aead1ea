"""`python -m benchmarks.router`: the APGR of routers on outcomes of a small and a large model.

The outcomes are of two public sets. A small classifier (naive Bayes on words, a few training texts
of each intent) and a large one (a linear SVM on words and pairs of words, all training texts)
answer the test texts of BANKING77 and the commands of SNIPS. An answer of the large one costs ten
times as much, whatever its text. With --recorded FILE the outcomes are those of a file for
`tierline replay`.

`gain` is the router that `tierline router train` makes and that serves. APGR is the share of the
large model's lead that a router keeps, on average over all shares of requests sent to it: 0.5 is a
coin. Everything is cross-fitted in five folds, and the difference to prompt length has a paired 95%
interval.
"""

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.base.embeddings import Embedder
from tierline.base.vectors import Vectors
from tierline.cli.improve.reports.recorded_outcomes import Measure, read_recorded
from tierline.features.comparison import Comparison
from tierline.routing.learned.complexity import text_signals
from tierline.routing.learned.gain_training import train_gain
from tierline.routing.learned.trained import from_parts, predict, to_parts
from tierline.routing.replay import rankers
from tierline.routing.replay.cross_fit import cross_fitted
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.gain import gain, recorded_rows
from tierline.routing.replay.paired import apgr, apgr_lead

DATA = Path(__file__).parents[3] / "shared" / "data"
OF_EACH = 10  # training texts of an intent of BANKING77 that the small model sees
OF_EACH_COMMAND = 2  # the same of SNIPS, where intents are easier to tell apart
FOLDS = 5
DECISIONS = 200  # that are timed
USD = (1e-5, 1e-4)  # an answer of the small and of the large model
DECISION_MS = 2.0  # the most that a decision may take, besides the embedding


def read(path: Path, most: int | None) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return random.Random(0).sample(rows, min(most or len(rows), len(rows)))


def banking(data: Path, most: int | None) -> tuple[list[str], list[Outcome], Vectors]:
    """The test texts, what both models made of them, and their embeddings."""
    train, test = read(data / "train.csv", most), read(data / "test.csv", most)
    few = few_of_each(train, OF_EACH)
    texts = [text for text, _ in test]
    weak, strong = naive_bayes(few).predict(texts), vector_machine(train).predict(texts)
    return texts, compared(test, weak, strong), embedded(texts)


def commands(data: Path) -> tuple[list[str], list[Outcome], Vectors]:
    """The commands of SNIPS that the small model did not see. The large one answers each after it
    was fitted on other folds.
    """
    rows = []
    for path in sorted(data.glob("validate_*.json")):
        ((intent, items),) = json.loads(path.read_text(encoding="utf-8")).items()
        rows += [("".join(part["text"] for part in item["data"]), intent) for item in items]
    random.Random(0).shuffle(rows)
    few = few_of_each(rows, OF_EACH_COMMAND)
    unseen = [row for row in rows if row not in few]
    texts = [text for text, _ in unseen]
    strong = [""] * len(unseen)
    for fold in range(FOLDS):
        others = [row for place, row in enumerate(unseen) if place % FOLDS != fold]
        strong[fold::FOLDS] = vector_machine(others).predict(texts[fold::FOLDS])
    return texts, compared(unseen, naive_bayes(few).predict(texts), strong), embedded(texts)


def few_of_each(rows: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """The first rows of each label."""
    return [
        row
        for label in sorted({label for _, label in rows})
        for row in [one for one in rows if one[1] == label][:count]
    ]


def naive_bayes(rows: list[tuple[str, str]]) -> Pipeline:
    texts, labels = zip(*rows, strict=True)
    return make_pipeline(CountVectorizer(), MultinomialNB(alpha=0.1)).fit(texts, labels)


def vector_machine(rows: list[tuple[str, str]]) -> Pipeline:
    texts, labels = zip(*rows, strict=True)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(words, LinearSVC()).fit(texts, labels)


def compared(
    rows: list[tuple[str, str]], weak: Sequence[str], strong: Sequence[str]
) -> list[Outcome]:
    return [
        Outcome(float(small == label), float(large == label), *USD)
        for (_, label), small, large in zip(rows, weak, strong, strict=True)
    ]


def embedded(texts: list[str]) -> Vectors:
    progress(f"embedding {len(texts):,} texts")
    return Embedder(threads=2).embed(texts)


def decision_ms(prompts: Sequence[str], outcomes: Sequence[Outcome], vectors: Vectors) -> Figure:
    """The processor time of one decision of the stored router, without the embedding."""
    router = from_parts(*to_parts(train_gain(recorded_rows(prompts, outcomes, vectors))))
    started = time.process_time()
    for place in range(DECISIONS):
        at = place % len(prompts)
        predict(router, prompts[at], vectors[at : at + 1], "router 1")
    spent = (time.process_time() - started) / DECISIONS
    return Figure("  a decision, processor time", 1000 * spent, "ms", DECISION_MS, at_most=True)


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
    leads = {
        what: apgr_lead(outcomes, ranking, scores["prompt length"])
        for what, ranking in list(scores.items())[:3]
    }
    small, large = (
        100 * sum(values) / count
        for values in zip(
            *((one.weak_quality, one.strong_quality) for one in outcomes), strict=True
        )
    )
    return [
        Figure(f"{name}: the small model right, {count:,} texts", small, "%"),
        Figure("  the large model right", large, "%"),
        *(
            Figure(f"  APGR, {what}", apgr(outcomes, ranking), "")
            for what, ranking in scores.items()
        ),
        *(
            Figure(f"  {what}, over length", one.mean, "", None, False, one.low, one.high)
            for what, one in leads.items()
        ),
        Figure("  gain over length, the lower 95% bound", leads["gain"].low, "", 0.0),
        decision_ms(prompts, outcomes, vectors),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.router", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="with banking77 and snips")
    parser.add_argument(
        "--recorded", type=Path, nargs="+", default=[], help="files for `tierline replay`"
    )
    arguments = read_arguments(parser, {})
    with threadpool_limits(limits=1):  # several threads take the processor from each other
        all_figures = measured(arguments)
    return hand_over(all_figures, as_json=arguments.json)


def measured(arguments: argparse.Namespace) -> list[Figure]:
    """The figures of each set that is there."""
    all_figures: list[Figure] = []
    bank, snips = arguments.data / "banking77", arguments.data / "snips"
    if bank.is_dir():
        all_figures += figures("BANKING77", *banking(bank, 1_500 if arguments.short else None))
    else:
        progress(f"there is no {bank}: BANKING77 is left out")
    if snips.is_dir():
        all_figures += figures("SNIPS", *commands(snips))
    else:
        progress(f"there is no {snips}: SNIPS is left out")
    for path in arguments.recorded:
        all_figures += figures(path.name, *recorded(path))
    return all_figures


def recorded(path: Path) -> tuple[list[str], list[Outcome], Vectors]:
    """The prompts and outcomes of a file, and the prompts' embeddings."""
    rows = read_recorded(path, Measure(Comparison("normalised")))
    prompts = [row.prompt for row in rows]
    return prompts, [row.outcome for row in rows], embedded(prompts)


if __name__ == "__main__":
    sys.exit(main())
