"""Drift on real traffic: spoken commands, and customers of a bank, a kind of which comes anew."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift.traffic import BANK, SNIPS, WITHIN, Traffic, run
from benchmarks.drift.traffic import bank as bank_of
from benchmarks.drift.traffic import commands as commands_of
from tierline.base.embeddings import Embedder
from tierline.base.vectors import Vectors
from tierline.drift.looks import (
    FEWEST,
    MOST_LIVE,
    RARE,
    DriftState,
    Reference,
    Seen,
    look,
    reference_of,
)
from tierline.drift.wealth import LOOKS, Wealth

MIXED = np.random.default_rng(2).permutation(700)  # of all kinds of commands


@pytest.fixture(scope="module")
def bank() -> Traffic:
    if not BANK.is_file():
        pytest.skip(f"{BANK} is not here: the traffic of this test is read from it")
    return bank_of(Embedder(threads=2), 3_500)


@pytest.fixture(scope="module")
def commands() -> Traffic:
    if not SNIPS.is_dir():
        pytest.skip(f"{SNIPS} is not here: the traffic of this test is read from it")
    return commands_of(Embedder(threads=2))


def test_a_new_kind_of_customers_question_is_found_within_500_inputs(bank: Traffic) -> None:
    kinds = bank.kinds(30)
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
    runs = [run(bank, 100 + seed, 500, LOOKS)[0] for seed in range(20)]
    assert sum(after is not None for after in runs) <= 1, runs


def test_known_kinds_that_come_otherwise_mixed_are_seen_without_any_label(bank: Traffic) -> None:
    """Nothing is new: half of the kinds come nine times as often as the others."""
    labels = np.array(bank.labels)
    found = []
    for seed in range(5):
        draw = np.random.default_rng(seed)
        often = draw.choice(sorted(set(bank.labels)), 38, replace=False)
        places = draw.permutation(len(labels))
        known, rest = reference_of(bank.take(places[:1_500])), places[1_500:]
        assert known is not None
        weights = np.where(np.isin(labels[rest], often), 9.0, 1.0)
        state, earlier = DriftState(), bank.vectors[:0]
        for _ in range(20):
            seen = bank.take(draw.choice(rest, 50, p=weights / weights.sum()))
            ended = look(
                replace(known, labels={}), state, earlier, Seen(seen.vectors, seen.lengths)
            )
            state, earlier = ended.state, np.concatenate([earlier, seen.vectors])[-MOST_LIVE:]
        found.append(ended.alarm and ended.by["mixture"] > 20.0)
    assert sum(found) >= 4, found


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
    found = look(known, DriftState(), np.zeros((0, 384), np.float32), seen)
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
    state = DriftState()
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
    found = look(reference(commands), DriftState(), nothing, Seen(nothing, [], []))
    assert not found.alarm
    assert found.state.looks == 1
    assert found.novel == ()


def test_too_few_known_inputs_are_no_reference(commands: Traffic) -> None:
    assert reference_of(commands.take(MIXED[: FEWEST - 1])) is None
    assert 0 < RARE < 0.05


def test_a_term_begins_with_nothing_won(commands: Traffic) -> None:
    known, nothing = reference(commands), np.zeros((0, 384), np.float32)
    rich = DriftState(LOOKS - 1, {"length": Wealth((9.0,) * 6)})
    late = look(known, rich, nothing, Seen(nothing, [], []))
    assert (late.alarm, late.state.looks) == (True, LOOKS)
    anew = look(known, late.state, nothing, Seen(nothing, [], []))
    assert (anew.alarm, anew.state.looks) == (False, 1)
    assert anew.money <= 1.0


def test_a_state_survives_being_kept(commands: Traffic) -> None:
    found = look(
        reference(commands), DriftState(), commands.vectors[:5], commands.take(MIXED[400:420])
    )
    assert DriftState.from_dict(json.loads(json.dumps(found.state.to_dict()))) == found.state
