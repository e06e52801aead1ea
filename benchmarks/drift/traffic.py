"""Traffic to look for drift in: customers of a bank (BANKING77) and spoken commands (SNIPS)."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from tierline.base.embeddings import Embedder
from tierline.base.vectors import Vectors
from tierline.drift.daily_check import (
    MOST_LIVE,
    DayCheck,
    DriftState,
    ObservedInputs,
    check_day,
    reference_of,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
BANK = DATA / "banking77" / "train.csv"
SNIPS = DATA / "snips"
QUIET_DAYS = 5  # before the new kind comes
A_DAY = 50  # inputs
SHARE = 0.1  # of the traffic, the new kind's
WITHIN = 500  # inputs
OUT_OF_SCOPE = 20  # intents of BANKING77's 77
KNOWN_AUDITS, WRONG = 300, 0.02  # audited answers of the reference, and the share that is wrong


@dataclass(frozen=True)
class Traffic:
    """Inputs, embedded, with what they are labelled."""

    vectors: Vectors
    lengths: list[int]
    labels: list[str]

    def take(self, places: np.ndarray) -> ObservedInputs:
        """Some of them, as a check takes them."""
        return ObservedInputs(
            self.vectors[places],
            [self.lengths[place] for place in places],
            [self.labels[place] for place in places],
        )

    def of(self, label: str) -> "Traffic":
        """What is of one kind."""
        places = [place for place, one in enumerate(self.labels) if one == label]
        return Traffic(
            self.vectors[places], [self.lengths[place] for place in places], [label] * len(places)
        )

    def joined(self, other: "Traffic") -> "Traffic":
        """These and others."""
        return Traffic(
            np.concatenate([self.vectors, other.vectors]),
            self.lengths + other.lengths,
            self.labels + other.labels,
        )

    def kinds(self, least: int) -> list[str]:
        """The labels that so many inputs have, in their order."""
        return sorted({label for label in self.labels if self.labels.count(label) >= least})


def bank(embedder: Embedder, most: int) -> Traffic:
    """So many of BANKING77's training texts, drawn at random."""
    with BANK.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = np.random.default_rng(0).permutation(len(rows))[:most]
    return _embedded(embedder, [rows[i]["text"] for i in kept], [rows[i]["category"] for i in kept])


def commands(embedder: Embedder, most: int | None = None) -> Traffic:
    """What SNIPS has of each of its seven intents, `most` of each at most."""
    texts, labels = [], []
    for file in sorted(SNIPS.glob("*.json")):
        for intent, all_items in json.loads(file.read_text(encoding="utf-8")).items():
            items = all_items[:most]
            texts += ["".join(chunk["text"] for chunk in item["data"]) for item in items]
            labels += [intent] * len(items)
    return _embedded(embedder, texts, labels)


def run(
    traffic: Traffic,
    seed: int,
    reference_size: int,
    days: int,
    new: str | Sequence[str] | None = None,
    *,
    audits: int = 0,
) -> tuple[int | None, DayCheck]:
    """Days of traffic against a reference of `reference_size` inputs of it. Inputs of the kind or
    kinds `new` come from the sixth day on. Returns after how many inputs since that day the change
    raised an alarm (None: never), and the last check.

    The model gives inputs of an unknown kind one of the labels that it knows. `audits` answers a
    day are audited; with 0, the figure `errors` does not exist.
    """
    with threadpool_limits(limits=1):  # of two threads one would mostly wait, and spin
        return _run(traffic, seed, reference_size, days, new, audits)


def _run(
    traffic: Traffic,
    seed: int,
    reference_size: int,
    days: int,
    new: str | Sequence[str] | None,
    audits: int,
) -> tuple[int | None, DayCheck]:
    draw, audit = np.random.default_rng(seed), np.random.default_rng([seed, 2])
    all_new = {new} if isinstance(new, str) else set(new or ())
    is_new = np.array([label in all_new for label in traffic.labels])
    old = draw.permutation(np.flatnonzero(~is_new))
    strange = draw.permutation(np.flatnonzero(is_new))
    errors = (int(audit.binomial(KNOWN_AUDITS, WRONG)), KNOWN_AUDITS) if audits else None
    reference = reference_of(traffic.take(old[:reference_size]), errors)
    assert reference is not None, "there are too few known inputs"
    rest, used, state, since = np.resize(old[reference_size:], days * A_DAY), 0, DriftState(), 0
    known_labels = sorted(set(traffic.labels) - all_new)
    earlier: Vectors = np.zeros((0, traffic.vectors.shape[1]), dtype=np.float32)
    new_used = 0
    last = None
    for day in range(days):
        places = rest[used : used + A_DAY].copy()
        used += A_DAY
        if new is not None and day >= QUIET_DAYS:
            for place in np.flatnonzero(draw.random(A_DAY) < SHARE):
                places[place] = strange[new_used % len(strange)]
                new_used += 1
            since += A_DAY
        seen = traffic.take(places)
        labels = [
            str(draw.choice(known_labels)) if label in all_new else label for label in seen.labels
        ]
        wrong = [bool(one) for one in audit.random(audits) < WRONG]
        last = check_day(
            reference, state, earlier, ObservedInputs(seen.vectors, seen.lengths, labels, wrong)
        )
        state = last.state
        earlier = np.concatenate([earlier, seen.vectors])[-MOST_LIVE:]
        if last.alarm:
            return since, last
    assert last is not None, "there are no days"
    return None, last


def out_of_scope(customers: Traffic, spoken: Traffic, seed: int) -> list[str]:
    """Kinds that nobody thought of, unlike each other: all spoken commands, and so many intents of
    a bank's customers, drawn anew for each seed. The latter are close to the known intents.
    """
    draw = np.random.default_rng([seed, 1])
    intents = sorted(set(customers.labels))
    drawn = draw.choice(intents, OUT_OF_SCOPE, replace=False)
    return [*sorted(set(spoken.labels)), *sorted(str(one) for one in drawn)]


def _embedded(embedder: Embedder, texts: list[str], labels: list[str]) -> Traffic:
    return Traffic(embedder.embed(texts), [len(text) for text in texts], labels)
