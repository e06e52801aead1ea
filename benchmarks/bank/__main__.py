"""`python -m benchmarks.bank`: BANKING77 by a distilled micro tier and by local models zero-shot.

The micro model learns from all training texts. The local models get the prompt that the product
sends, with the 77 labels and the task alone; answers are held to the schema. All answer the same
sample of the test texts, one at a time; the micro model also answers every test text. Cost is the
time of this machine at --usd-per-hour, which is assumed. The larger model takes part if its file
is here (`tierline models fetch`).
"""

import argparse
import csv
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.local_model import local_model
from tierline import providers
from tierline.base.embeddings import Embedder
from tierline.checks import check
from tierline.features import Feature, ModelRef
from tierline.features.parse import parse_feature
from tierline.features.prompts import answer_messages
from tierline.providers.types import CallFailed, CompletionRequest
from tierline.routing.learned.micro import Micro, train
from tierline.stack.local_models.models import QWEN, SMOLLM2, available

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77"
Row = tuple[str, str]


@dataclass(frozen=True)
class Score:
    """One model's result."""

    right: int
    count: int
    ms: float  # the median of an answer


def read(name: str) -> list[Row]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def feature_of(model: str, labels: list[str]) -> Feature:
    document = {
        "feature": "banking",
        "instructions": "Choose what the customer of the bank asks about.",
        "input": {"type": "object", "properties": {"text": {"type": "string"}}},
        "output": {"type": "string", "enum": labels},
        "tiers": [{"name": "slm", "models": [f"local:{model}"], "max_tokens": 40}],
    }
    return parse_feature(json.dumps(document))


def by_model(model: str, labels: list[str], rows: list[Row]) -> Score:
    feature = feature_of(model, labels)
    tier = feature.tiers[0]
    right, took = 0, []
    with local_model(model):
        for number, (text, label) in enumerate(rows):
            if number % 25 == 0:
                progress(f"{model}: {number} of {len(rows)}")
            request = CompletionRequest(
                model=ModelRef("local", model),
                messages=answer_messages(feature, tier, {"text": text}),
                max_tokens=tier.max_tokens,
                temperature=0.0,
                timeout_s=120.0,
                json_schema=feature.output_schema,
            )
            began = time.perf_counter()
            try:
                answer = providers.provider("local").complete(request).text
            except CallFailed:
                continue
            finally:
                took.append((time.perf_counter() - began) * 1e3)
            right += check(feature, {"text": text}, answer).output == label
    return Score(right, len(rows), median(took))


def distilled(embedder: Embedder, training: list[Row]) -> Micro:
    progress(f"embedding {len(training):,} texts, and training")
    vectors = embedder.embed([text for text, _ in training])
    return train(vectors, [label for _, label in training]).micro


def by_micro(embedder: Embedder, micro: Micro, rows: list[Row]) -> Score:
    right, took = 0, []
    for text, label in rows:
        began = time.perf_counter()
        (answer,) = micro.answer(embedder.embed([text]))
        took.append((time.perf_counter() - began) * 1e3)
        right += answer.label == label
    return Score(right, len(rows), median(took))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bank", description=__doc__)
    parser.add_argument(
        "--texts", type=int, default=150, help="of the sample that all of them answer"
    )
    parser.add_argument("--usd-per-hour", type=float, default=0.10, help="of this machine: assumed")
    arguments = read_arguments(parser, {"texts": 20})
    training, test = read("train.csv"), read("test.csv")
    if arguments.short:
        training = random.Random(2).sample(training, 3_000)
    labels = sorted({label for _, label in training})
    sample = random.Random(3).sample(test, arguments.texts)
    embedder = Embedder(threads=1)
    micro = distilled(embedder, training)
    scores = {
        "micro tier": by_micro(embedder, micro, sample),
        "micro tier, every test text": by_micro(
            embedder, micro, test[: 300 if arguments.short else None]
        ),
    }
    for model in (SMOLLM2, QWEN):
        if available(model):
            scores[f"{model.name}, zero-shot"] = by_model(model.name, labels, sample)
        else:
            progress(f"{model.name} is not here: tierline models fetch")
    figures = []
    for name, score in scores.items():
        usd = score.ms / 3_600_000 * arguments.usd_per_hour * 1_000_000
        figures += [
            Figure(f"{name}: right of {score.count:,}", 100 * score.right / score.count, "%"),
            Figure("  an answer, the median", score.ms, "ms"),
            Figure("  1,000,000 answers", usd, "USD"),
        ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
