"""`python -m benchmarks.distil`: BANKING77's training texts become a micro model.

As `tierline micro train` does it: texts are embedded, or found in the cache of embeddings; three
quarters train and a quarter is kept to test a promise on; the head, its trust and the strangers of
all labels are fitted. The clock runs from texts to a model whose answers could be promised. The
yardstick is one fit of the same head on all texts.

The promise is then tested twice, on the rows that were held out and on the same rows split by
meaning: what each split finds stands beside what is wrong among the test texts.
"""

import argparse
import csv
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.cli.improve.training.embedding import embedded
from tierline.routing.learned.micro import Answer, train
from tierline.routing.learned.micro_training import HeldOut, Lesson, learn
from tierline.routing.thresholds.threshold_search import (
    confidence_of_attempt,
    grid,
    search_threshold,
)

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
STRANGERS = 0.05  # of the traffic
TARGET_S = 90.0
PROMISED, CONFIDENCE = 0.03, 0.95


def read(name: str, most: int | None) -> list[tuple[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    random.Random(1).shuffle(rows)
    return rows[:most]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distil", description=__doc__)
    arguments = read_arguments(parser, {})
    most = 2_500 if arguments.short else None
    rows, test_rows = read("train.csv", most), read("test.csv", most)
    labels = [label for _, label in rows]
    held = [place % 4 == 0 for place in range(len(rows))]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        progress(f"embedding {len(rows):,} texts")
        began = time.perf_counter()
        embedded([text for text, _ in rows])
        embedding_s = time.perf_counter() - began
        progress("distilling, with the texts embedded before")
        began = time.perf_counter()
        vectors = embedded([text for text, _ in rows])
        cached_s = time.perf_counter() - began
        lesson = learn(vectors, labels, held, STRANGERS)
        took_s = time.perf_counter() - began
        answers = lesson.micro.answer(embedded([text for text, _ in test_rows]))
    progress("the yardstick")
    began = time.perf_counter()
    train(vectors, labels, withhold=False)
    alone_s = time.perf_counter() - began
    right = sum(
        answer.label == label for answer, (_, label) in zip(answers, test_rows, strict=True)
    )
    figures = [
        Figure(
            f"distilling {len(rows):,} texts, embedded before", took_s, "s", TARGET_S, at_most=True
        ),
        Figure("  of that, their embeddings out of the cache", cached_s, "s"),
        Figure("  / a head that is fitted and cross-fitted alone", took_s / alone_s, ""),
        Figure("  embedding them the first time", embedding_s, "s"),
        Figure("  right on texts that it never saw", 100 * right / len(test_rows), "%"),
    ]
    figures += by_split(lesson, answers, [label for _, label in test_rows])
    return hand_over(figures, as_json=arguments.json)


def by_split(lesson: Lesson, answers: Sequence[Answer], right: Sequence[str]) -> list[Figure]:
    """What each split finds and promises, and what its promise serves of the test texts."""
    strange = [one for one in lesson.held_out if one.label is None]
    figures = []
    for name, tested in (
        ("as held out", lesson.held_out),
        ("by meaning", (*lesson.by_meaning, *strange)),
    ):
        known = [one.scored.wrong for one in tested if one.label is not None]
        threshold = promised(lesson, tested)
        served = [
            answer.label != label
            for answer, label in zip(answers, right, strict=True)
            if threshold is not None and not answer.novel and answer.score >= threshold
        ]
        figures += [
            Figure(f"split {name}: wrong", 100 * sum(known) / len(known), "%"),
            Figure(f"  {PROMISED:.0%} promised: served", 100 * len(served) / len(right), "%"),
            Figure("  … wrong of these", 100 * sum(served) / max(1, len(served)), "%"),
        ]
    return figures


def promised(lesson: Lesson, tested: Sequence[HeldOut]) -> float | None:
    """The threshold that keeps the promise on these answers; None: nothing is promised."""
    search = search_threshold(
        [one.scored for one in tested],
        grid([one.score for one in lesson.planned]),
        PROMISED,
        confidence_of_attempt(1, CONFIDENCE),
        lesson.planned,
    )
    return None if search.chosen is None else search.chosen.threshold


if __name__ == "__main__":
    sys.exit(main())
