"""Drift on real traffic: spoken commands, and customers of a bank, a kind of which comes anew."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.drift.traffic import BANK, SNIPS, WITHIN, Traffic, out_of_scope, run
from benchmarks.drift.traffic import bank as bank_of
from benchmarks.drift.traffic import commands as commands_of
from tierline.base.embeddings import Embedder
from tierline.base.vectors import Vectors
from tierline.drift.daily_check import (
    FEWEST,
    MOST_LIVE,
    NOVEL,
    RARE,
    DriftState,
    ObservedInputs,
    Reference,
    check_day,
    reference_of,
)
from tierline.drift.wealth import CHECKS_A_TERM, Wealth

MIXED = np.random.default_rng(2).permutation(280)  # of all kinds of the few commands
KNOWN = 240


@pytest.fixture(scope="module")
def bank() -> Traffic:
    if not BANK.is_file():
        pytest.skip(f"{BANK} is not here: the traffic of this test is read from it")
    return bank_of(Embedder(threads=2), 3_500)


@pytest.fixture(scope="module")
def small_bank() -> Traffic:
    """Few enough to be embedded in seconds."""
    if not BANK.is_file():
        pytest.skip(f"{BANK} is not here: the traffic of this test is read from it")
    return bank_of(Embedder(threads=1), 900)


@pytest.fixture(scope="module")
def commands() -> Traffic:
    if not SNIPS.is_dir():
        pytest.skip(f"{SNIPS} is not here: the traffic of this test is read from it")
    return commands_of(Embedder(threads=2))


@pytest.fixture(scope="module")
def few_commands() -> Traffic:
    """Few enough to be embedded in seconds."""
    if not SNIPS.is_dir():
        pytest.skip(f"{SNIPS} is not here: the traffic of this test is read from it")
    return commands_of(Embedder(threads=1), 40)


@pytest.mark.nightly  # 20 runs; the short form looks for commands, which are further away
def test_a_new_kind_of_customers_question_is_found_within_500_inputs(bank: Traffic) -> None:
    kinds = bank.kinds(30)
    runs = [run(bank, seed, 1_500, 15, kinds[seed * 7 % len(kinds)])[0] for seed in range(20)]
    assert sum(after is not None and after <= WITHIN for after in runs) >= 18, runs


@pytest.mark.nightly
def test_commands_among_a_banks_questions_are_found_within_500_inputs(
    bank: Traffic, commands: Traffic
) -> None:
    detections = commands_found(bank, commands, 1_500, range(14))
    assert sum(after is not None and after <= WITHIN for after in detections) >= 13, detections


def test_two_kinds_of_commands_among_a_banks_questions_are_found(
    small_bank: Traffic, few_commands: Traffic
) -> None:
    """The short form: fewer known inputs, the same days."""
    detections = commands_found(small_bank, few_commands, 400, range(2))
    assert all(after is not None and after <= WITHIN for after in detections), detections


@pytest.mark.nightly
def test_traffic_that_is_out_of_scope_is_found_within_500_inputs(
    bank: Traffic, commands: Traffic
) -> None:
    """A tenth of the traffic, of 27 kinds: no two of these inputs need to be alike."""
    both = bank.joined(commands)
    runs = [run(both, s, 1_500, 15, out_of_scope(bank, commands, s))[0] for s in range(20)]
    assert sum(after is not None and after <= WITHIN for after in runs) >= 18, runs


def test_inputs_that_are_out_of_scope_are_found_by_their_own_novelty(
    small_bank: Traffic, few_commands: Traffic
) -> None:
    """The short form: fewer known inputs, commands and five intents of a bank."""
    both = small_bank.joined(few_commands)
    for seed in range(2):
        kinds = out_of_scope(small_bank, few_commands, seed)[:12]
        after, last = run(both, seed, 400, 15, kinds)
        assert after is not None
        assert after <= WITHIN
        assert max(last.by, key=lambda name: last.by[name]) == "novelty"


def test_each_input_counts_by_its_own_rank_at_three_shares(
    small_bank: Traffic, few_commands: Traffic
) -> None:
    baseline = reference_of(small_bank.take(np.arange(800)))
    assert baseline is not None
    strange = few_commands.take(np.arange(20))
    check = check_day(baseline, DriftState(), np.zeros((0, 384), np.float32), strange)
    for name, share in NOVEL.items():
        mean, low, high = check.means[name]
        assert (low, mean) == (0.0, 1.0)
        assert share < high < share + 0.03


def commands_found(
    bank: Traffic, commands: Traffic, known: int, seeds: Sequence[int]
) -> list[int | None]:
    """After how many inputs commands were seen, of another kind for each seed."""
    kinds = sorted(set(commands.labels))
    runs = []
    for seed in seeds:
        kind = kinds[seed % len(kinds)]
        runs.append(run(bank.joined(commands.of(kind)), seed, known, 15, kind))
    assert {max(one.by, key=lambda name: one.by[name]) for _, one in runs} <= {
        "novelty",
        "crowding",
    }
    return [after for after, _ in runs]


def test_a_quarter_of_daily_looks_at_the_same_traffic_gives_no_alarm(small_bank: Traffic) -> None:
    """The short form: two runs, of which by the promise one in ten alarms at most; these do not."""
    runs = [run(small_bank, 100 + seed, 400, CHECKS_A_TERM, audits=5)[0] for seed in range(2)]
    assert runs == [None, None]


@pytest.mark.nightly
def test_a_quarter_of_daily_looks_alarms_falsely_in_one_of_twenty_at_most(bank: Traffic) -> None:
    """Each run has a reference of its own, and traffic without a change."""
    runs = [run(bank, 100 + seed, 500, CHECKS_A_TERM, audits=5)[0] for seed in range(20)]
    assert sum(after is not None for after in runs) <= 1, runs


@pytest.mark.nightly
def test_known_kinds_that_come_otherwise_mixed_are_seen_without_any_label(bank: Traffic) -> None:
    shares = [mixture_seen(bank, seed, 1_500, 20) for seed in range(5)]
    assert sum(shares) >= 4, shares


def test_known_kinds_that_come_otherwise_mixed_are_seen_of_few_inputs_too(
    small_bank: Traffic,
) -> None:
    assert mixture_seen(small_bank, 0, 400, 30)


def mixture_seen(bank: Traffic, seed: int, reference: int, days: int) -> bool:
    """Whether it is seen that half of the kinds come nine times as often; nothing is new."""
    labels = np.array(bank.labels)
    draw = np.random.default_rng(seed)
    often = draw.choice(sorted(set(bank.labels)), 38, replace=False)
    places = draw.permutation(len(labels))
    known, rest = reference_of(bank.take(places[:reference])), places[reference:]
    assert known is not None
    weights = np.where(np.isin(labels[rest], often), 9.0, 1.0)
    state, earlier = DriftState(), bank.vectors[:0]
    for _ in range(days):
        seen = bank.take(draw.choice(rest, 50, p=weights / weights.sum()))
        ended = check_day(
            replace(known, labels={}), state, earlier, ObservedInputs(seen.vectors, seen.lengths)
        )
        state, earlier = ended.state, np.concatenate([earlier, seen.vectors])[-MOST_LIVE:]
    return ended.alarm and ended.by["mixture"] > 20.0


def test_the_inputs_of_the_new_kind_are_named(small_bank: Traffic, few_commands: Traffic) -> None:
    baseline = reference_of(small_bank.take(np.arange(800)))
    assert baseline is not None
    strange = few_commands.of("GetWeather")
    live = small_bank.take(np.arange(800, 890))
    seen = ObservedInputs(
        np.concatenate([live.vectors, strange.vectors[:10]]),
        [*live.lengths, *strange.lengths[:10]],
        [*live.labels, *([None] * 10)],
    )
    check = check_day(baseline, DriftState(), np.zeros((0, 384), np.float32), seen)
    assert set(range(90, 100)) <= set(check.novel[:12])


def reference(few_commands: Traffic, errors: tuple[int, int] | None = None) -> Reference:
    baseline = reference_of(few_commands.take(MIXED[:KNOWN]), errors)
    assert baseline is not None
    return baseline


def test_longer_inputs_other_answers_and_more_errors_are_seen_by_their_figures(
    few_commands: Traffic,
) -> None:
    """Of inputs that mean the same as ever."""
    baseline = reference(few_commands, (10, 500))
    state = DriftState()
    earlier: Vectors = np.zeros((0, 384), np.float32)
    label = few_commands.labels[0]
    for _ in range(6):
        same = few_commands.take(MIXED[:200:2])
        changed = ObservedInputs(
            same.vectors,
            [length * 3 for length in same.lengths],
            [label] * 100,
            [True, False, False] * 10,
        )
        check = check_day(baseline, state, earlier, changed)
        state = check.state
    assert check.alarm
    for name in ("length", "labels", "errors"):
        assert check.by[name] > 20.0, name
    assert check.by["novelty"] < 1.0
    low, high = check.means["length"][1:]
    assert not low <= check.means["length"][0] <= high


def test_a_day_without_inputs_changes_nothing_but_the_stake(few_commands: Traffic) -> None:
    nothing: Vectors = np.zeros((0, 384), np.float32)
    check = check_day(
        reference(few_commands), DriftState(), nothing, ObservedInputs(nothing, [], [])
    )
    assert not check.alarm
    assert check.state.looks == 1
    assert check.novel == ()


def test_too_few_known_inputs_are_no_reference(few_commands: Traffic) -> None:
    assert reference_of(few_commands.take(MIXED[: FEWEST - 1])) is None
    assert 0 < RARE < 0.05


def test_a_term_begins_with_nothing_won(few_commands: Traffic) -> None:
    known, nothing = reference(few_commands), np.zeros((0, 384), np.float32)
    rich = DriftState(CHECKS_A_TERM - 1, {"length": Wealth((9.0,) * 6)})
    late = check_day(known, rich, nothing, ObservedInputs(nothing, [], []))
    assert (late.alarm, late.state.looks) == (True, CHECKS_A_TERM)
    anew = check_day(known, late.state, nothing, ObservedInputs(nothing, [], []))
    assert (anew.alarm, anew.state.looks) == (False, 1)
    assert anew.money <= 1.0


def test_a_state_survives_being_kept(few_commands: Traffic) -> None:
    check = check_day(
        reference(few_commands),
        DriftState(),
        few_commands.vectors[:5],
        few_commands.take(MIXED[KNOWN : KNOWN + 20]),
    )
    assert DriftState.from_dict(json.loads(json.dumps(check.state.to_dict()))) == check.state
