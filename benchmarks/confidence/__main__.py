"""`python -m benchmarks.confidence`: AUROC of the combined confidence beside each single signal's.

The embedded model, SmolLM2 with 135 million parameters, labels tickets (examples/dev and
examples/inputs) and questions of BANKING77 (its test texts of eight intents whose names begin
differently) by the probabilities of the labels. A second call asks whether the label was right. The
combination is fitted on four folds of five and judged on the fifth; the single signals need no
fit. 0.5 is chance and 1.0 is perfect; each signal should beat prompt length.
"""

import argparse
import csv
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from sklearn.metrics import roc_auc_score

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.local_model import local_model
from tierline import providers
from tierline.checks.labels import LabelSet, closed_set, score, scoring_messages
from tierline.checks.signals import signals_of
from tierline.checks.verifier import share_of_yes, verifier_messages
from tierline.features import Feature, ModelRef
from tierline.features.parse import parse_feature
from tierline.features.prompts import Message
from tierline.providers.types import CompletionRequest, TokenLogprob
from tierline.routing.replay import rankers
from tierline.routing.replay.cross_fit import cross_fitted

ROOT = Path(__file__).parents[2]
BANKING = ROOT.parent / "shared" / "data" / "banking77" / "test.csv"
INTENTS = (
    *("atm_support", "cancel_transfer", "exchange_rate", "lost_or_stolen_card"),
    *("passcode_forgotten", "request_refund", "top_up_failed", "verify_my_identity"),
)
MODEL = ModelRef("local", "smollm2-135m")


@dataclass(frozen=True)
class Judged:
    """One text that the model labelled."""

    signals: Mapping[str, float]
    right: bool
    length: int


def tickets() -> tuple[Feature, list[tuple[str, str]]]:
    """The example's own feature, and every ticket that has a right answer."""
    text = (ROOT / "examples/features/ticket-triage.yaml").read_text()
    document = YAML(typ="safe").load(text)
    document["tiers"] = [{"name": "slm", "models": [str(MODEL)], "max_tokens": 20}]
    feature = parse_feature(json.dumps(document))
    rows = [
        json.loads(line)
        for folder in ("dev", "inputs")
        for line in (ROOT / "examples" / folder / "tickets.jsonl").read_text().splitlines()
    ]
    return feature, [
        (row["input"]["text"], row["expected"]["category"]) for row in rows if row["expected"]
    ]


def banking() -> tuple[Feature, list[tuple[str, str]]]:
    """A feature that names the intents, and the test texts of these."""
    document = {
        "feature": "banking",
        "instructions": "Choose what the customer of the bank asks about.",
        "input": {"type": "object", "properties": {"text": {"type": "string"}}},
        "output": {"type": "string", "enum": list(INTENTS)},
        "confidence": {"signal": "label_logprob", "threshold": 0.5},
        "tiers": [{"name": "slm", "models": [str(MODEL)]}],
    }
    with BANKING.open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return parse_feature(json.dumps(document)), [row for row in rows if row[1] in INTENTS]


def first_tokens(messages: Sequence[Message]) -> list[TokenLogprob]:
    """What the model might write first."""
    completion = providers.provider(MODEL.provider).complete(
        CompletionRequest(
            model=MODEL,
            messages=messages,
            max_tokens=1,
            temperature=0.0,
            timeout_s=120.0,
            top_logprobs=500,
        )
    )
    assert completion.top_logprobs, "the embedded model tells probabilities"
    return list(completion.top_logprobs[0])


def judge(feature: Feature, rows: Sequence[tuple[str, str]]) -> list[Judged]:
    """Each text with its signals, and whether the label was right."""
    tier = feature.tiers[0]
    labels = closed_set(feature.output_schema)
    assert labels is not None, "these features have a fixed list of answers"
    baseline = first_tokens(scoring_messages(feature, tier, labels, None))
    judged = []
    for number, (text, label) in enumerate(rows):
        if number % 50 == 0:
            progress(f"{feature.name}: {number} of {len(rows)}")
        judged.append(_one(feature, labels, baseline, text, label))
    return judged


def _one(
    feature: Feature, labels: LabelSet, baseline: Sequence[TokenLogprob], text: str, label: str
) -> Judged:
    tier, input = feature.tiers[0], {"text": text}
    scores = score(labels, first_tokens(scoring_messages(feature, tier, labels, input)), baseline)
    output = labels.wrap(scores.best)
    yes = share_of_yes(first_tokens(verifier_messages(feature, tier, input, output)))
    signals = {"label_logprob": scores.confidence, "label_margin": scores.margin}
    signals |= signals_of(input, output, repaired=False)
    if yes is not None:
        signals["verifier"] = yes
    return Judged(signals, scores.best == label, len(text))


def figures(name: str, judged: Sequence[Judged]) -> list[Figure]:
    """AUROC of each, the combination first."""
    right = [one.right for one in judged]
    signals = [one.signals for one in judged]
    combined = cross_fitted(len(judged), rankers.confidence(signals, right))
    singles = {
        signal: [one.get(signal, 0.0) for one in signals]
        for signal in ("label_logprob", "label_margin", "verifier", "grounded")
        if any(signal in one for one in signals)
    }
    singles["prompt length"] = [-float(one.length) for one in judged]
    share = sum(right) / len(right)
    return [
        Figure(
            f"{name}: combined, {len(judged)} texts, {share:.0%} right", auroc(right, combined), ""
        ),
        *(Figure(f"  {signal}", auroc(right, scores), "") for signal, scores in singles.items()),
    ]


def auroc(right: Sequence[bool], scores: Sequence[float]) -> float:
    return float(roc_auc_score(right, scores))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confidence", description=__doc__)
    arguments = read_arguments(parser, {})
    all_figures = []
    with local_model(MODEL.model):
        for name, (feature, rows) in (("tickets", tickets()), ("BANKING77", banking())):
            some = random.Random(0).sample(rows, min(len(rows), 40 if arguments.short else 400))
            all_figures += figures(name, judge(feature, some))
    return hand_over(all_figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
