"""Drift on real traffic: spoken commands, and customers of a bank, a kind of which comes anew."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tierline.drift.looks import (
    FEWEST,
    MOST_LIVE,
    RARE,
    Look,
    Reference,
    Seen,
    State,
    look,
    reference_of,
)
from tierline.drift.wealth import LOOKS
from tierline.embeddings import Embedder
from tierline.vectors import Vectors

DATA = Path(__file__).parents[4] / "shared" / "data"
A_DAY = 50
SHARE = 0.1  # of the traffic, the new kind's
WITHIN = 500  # inputs
MIXED = np.random.default_rng(2).permutation(700)  # of all kinds of commands


@dataclass(frozen=True)
class Traffic:
    vectors: Vectors
    lengths: list[int]
    labels: list[str]

    def take(self, places: np.ndarray) -> Seen:
        return Seen(
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
        return Traffic(
            np.concatenate([self.vectors, other.vectors]),
            self.lengths + other.lengths,
            self.labels + other.labels,
        )


def embedded(texts: list[str], labels: list[str]) -> Traffic:
    return Traffic(Embedder(threads=2).embed(texts), [len(text) for text in texts], labels)


@pytest.fixture(scope="module")
def bank() -> Traffic:
    path = DATA / "banking77" / "train.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here: the traffic of this test is read from it")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = np.random.default_rng(0).permutation(len(rows))[:3_500]
    return embedded([rows[i]["text"] for i in kept], [rows[i]["category"] for i in kept])


@pytest.fixture(scope="module")
def commands() -> Traffic:
    folder = DATA / "snips"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the traffic of this test is read from it")
    texts, labels = [], []
    for file in sorted(folder.glob("*.json")):
        for intent, items in json.loads(file.read_text()).items():
            for item in items:
                texts.append("".join(chunk["text"] for chunk in item["data"]))
                labels.append(intent)
    return embedded(texts, labels)


def run(
    traffic: Traffic, seed: int, known: int, days: int, new: str | None = None
) -> tuple[int | None, Look]:
    """Days of traffic, of which from the sixth on a tenth is of the kind `new`; after how many such
    inputs it was seen. The model calls what it never saw one of the labels that it knows.
    """
    draw = np.random.default_rng(seed)
    labels = np.array(traffic.labels)
    old = draw.permutation(np.flatnonzero(labels != new))
    strange = draw.permutation(np.flatnonzero(labels == new))
    reference = reference_of(traffic.take(old[:known]))
    assert reference is not None
    rest, used, state, since = np.resize(old[known:], days * A_DAY * 2), 0, State(), 0
    earlier: Vectors = np.zeros((0, traffic.vectors.shape[1]), dtype=np.float32)
    new_used = 0
    found = None
    for day in range(days):
        places = rest[used : used + A_DAY].copy()
        used += A_DAY
        if new is not None and day >= 5:
            for place in np.flatnonzero(draw.random(A_DAY) < SHARE):
                places[place] = strange[new_used % len(strange)]
                new_used += 1
            since += A_DAY
        seen = traffic.take(places)
        known_labels = sorted(set(traffic.labels) - {new})
        told = [label if label != new else str(draw.choice(known_labels)) for label in seen.labels]
        found = look(reference, state, earlier, Seen(seen.vectors, seen.lengths, told))
        state = found.state
        earlier = np.concatenate([earlier, seen.vectors])[-MOST_LIVE:]
        if found.alarm:
            return since, found
    assert found is not None
    return None, found


def test_a_new_kind_of_customers_question_is_found_within_500_inputs(bank: Traffic) -> None:
    kinds = sorted({label for label in bank.labels if bank.labels.count(label) >= 30})
    runs = [run(bank, seed, 1_500, 15, kinds[seed * 7 % len(kinds)])[0] for seed in range(20)]
    assert sum(after is not None and after <= WITHIN for after in runs) >= 18, runs


def test_commands_among_a_banks_questions_are_found_within_500_inputs(
    bank: Traffic, commands: Traffic
) -> None:
    kinds = sorted(set(commands.labels))
    runs = []
    for seed in range(14):
        kind = kinds[seed % len(kinds)]
        both = bank.joined(commands.of(kind))
        runs.append(run(both, seed, 1_500, 15, kind))
    found = [after for after, _ in runs]
    assert sum(after is not None and after <= WITHIN for after in found) >= 13, found
    assert {max(one.by, key=lambda name: one.by[name]) for _, one in runs} <= {
        "novelty",
        "crowding",
    }


def test_a_quarter_of_daily_looks_alarms_falsely_in_one_of_twenty_at_most(bank: Traffic) -> None:
    """Each run has a reference of its own, and traffic without a change."""
    runs = [run(bank, 100 + seed, 500, LOOKS // 2)[0] for seed in range(40)]
    assert sum(after is not None for after in runs) <= 2, runs


def test_the_inputs_of_the_new_kind_are_named(bank: Traffic, commands: Traffic) -> None:
    known = reference_of(bank.take(np.arange(1_000)))
    assert known is not None
    strange = commands.of("GetWeather")
    live = bank.take(np.arange(1_000, 1_090))
    seen = Seen(
        np.concatenate([live.vectors, strange.vectors[:10]]),
        [*live.lengths, *strange.lengths[:10]],
        [*live.labels, *([None] * 10)],
    )
    found = look(known, State(), np.zeros((0, 384), np.float32), seen)
    assert set(range(90, 100)) <= set(found.novel[:12])


def reference(commands: Traffic, errors: tuple[int, int] | None = None) -> Reference:
    found = reference_of(commands.take(MIXED[:400]), errors)
    assert found is not None
    return found


def test_longer_inputs_other_answers_and_more_errors_are_seen_by_their_figures(
    commands: Traffic,
) -> None:
    """Of inputs that mean the same as ever."""
    known = reference(commands, (10, 500))
    state = State()
    earlier: Vectors = np.zeros((0, 384), np.float32)
    label = commands.labels[0]
    for _ in range(6):
        same = commands.take(MIXED[:400:4])
        changed = Seen(
            same.vectors,
            [length * 3 for length in same.lengths],
            [label] * 100,
            [True, False, False] * 10,
        )
        found = look(known, state, earlier, changed)
        state = found.state
    assert found.alarm
    for name in ("length", "labels", "errors"):
        assert found.by[name] > 20.0, name
    assert found.by["novelty"] < 1.0
    low, high = found.means["length"][1:]
    assert not low <= found.means["length"][0] <= high


def test_a_day_without_inputs_changes_nothing_but_the_stake(commands: Traffic) -> None:
    nothing: Vectors = np.zeros((0, 384), np.float32)
    found = look(reference(commands), State(), nothing, Seen(nothing, [], []))
    assert not found.alarm
    assert found.state.looks == 1
    assert found.novel == ()


def test_too_few_known_inputs_are_no_reference(commands: Traffic) -> None:
    assert reference_of(commands.take(MIXED[: FEWEST - 1])) is None
    assert 0 < RARE < 0.05
