"""A router that learns what escalating gains, and its comparison with length and with a coin."""

import random

import numpy as np
import pytest

from tierline.base.vectors import DIMENSIONS
from tierline.routing.learned.gain_parts import from_parts, to_parts
from tierline.routing.learned.gain_router import form
from tierline.routing.learned.gain_training import train_gain
from tierline.routing.replay import rankers
from tierline.routing.replay.cross_fit import cross_fitted
from tierline.routing.replay.curves import Outcome
from tierline.routing.replay.gain import gain, recorded_rows
from tierline.routing.replay.paired import apgr, apgr_lead, leads_at_rates


def questions(count: int) -> tuple[list[str], list[Outcome], np.ndarray]:
    """Three kinds: easy, one that only the strong tier can do, one that neither can. Their vectors
    show the kind; their length shows only that it is not an easy one.
    """
    draw, numbers = random.Random(3), np.random.default_rng(3)
    prompts, outcomes, vectors = [], [], []
    for _ in range(count):
        kind = draw.choice(("easy", "mended", "lost"))
        prompts.append("word " * (draw.randint(5, 20) + (10 if kind != "easy" else 0)))
        weak = draw.random() < (0.9 if kind == "easy" else 0.1)
        strong = draw.random() < (0.1 if kind == "lost" else 0.95)
        outcomes.append(Outcome(float(weak), float(strong), 0.001, 0.02))
        vector = numbers.normal(0, 0.25, 8)
        vector[("easy", "mended", "lost").index(kind)] += 1
        vectors.append(vector / np.linalg.norm(vector))
    return prompts, outcomes, np.array(vectors, dtype=np.float32)


def test_it_beats_length_and_a_router_that_learns_where_the_weak_tier_is_wrong() -> None:
    prompts, outcomes, vectors = questions(900)
    scores = cross_fitted(900, gain(prompts, outcomes, vectors))
    lengths = [-float(len(prompt)) for prompt in prompts]
    assert apgr_lead(outcomes, scores, lengths).low > 0.05
    right = [one.weak_quality == 1.0 for one in outcomes]
    wrong = cross_fitted(
        900, rankers.complexity([form(prompt) for prompt in prompts], right, vectors)
    )
    assert apgr_lead(outcomes, scores, wrong).low > 0.02
    for one in leads_at_rates(
        outcomes, scores, [float(len(prompt)) for prompt in prompts], (0.3, 0.5)
    ):
        assert one.random.low > 0
        assert one.length.low > 0


def test_without_embeddings_it_learns_from_the_form() -> None:
    draw = random.Random(4)
    prompts, outcomes = [], []
    for _ in range(600):
        hard = draw.random() < 0.4
        prompts.append(("7 " * 9 if hard else "abc " * 5) + "x" * draw.randint(0, 40))
        outcomes.append(Outcome(float(not hard or draw.random() < 0.1), 1.0, 0.001, 0.02))
    scores = cross_fitted(600, gain(prompts, outcomes, None))
    assert apgr(outcomes, scores) > 0.7


def test_a_gain_that_costs_less_goes_first() -> None:
    """All gain the same; the long ones cost ten times as much."""
    draw = random.Random(5)
    prompts = ["a" * draw.choice((20, 2_000)) for _ in range(400)]
    outcomes = [
        Outcome(float(draw.random() < 0.5), 1.0, 0.0, 0.001 * len(prompt)) for prompt in prompts
    ]
    scores = cross_fitted(400, gain(prompts, outcomes, None))
    short = [s for s, prompt in zip(scores, prompts, strict=True) if len(prompt) == 20]
    long = [s for s, prompt in zip(scores, prompts, strict=True) if len(prompt) == 2_000]
    assert sum(short) / len(short) < sum(long) / len(long) - 0.1


def test_apgr_is_one_half_for_a_coin_and_the_interval_of_nothing_is_nothing() -> None:
    _, outcomes, _ = questions(2_000)
    draw = random.Random(6)
    coin = [draw.random() for _ in outcomes]
    assert apgr(outcomes, coin) == pytest.approx(0.5, abs=0.05)
    same = apgr_lead(outcomes, coin, coin)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)


def test_options_and_numbers_of_a_text_are_counted() -> None:
    counts = form("Which is 12?\nA) 12\nB) 13\n(C) 1 4")
    assert (counts["options"], counts["numbers"]) == (3.0, 5.0)


def test_it_ranks_as_the_router_does_that_is_stored_and_served() -> None:
    prompts, outcomes, _ = questions(300)
    vectors = np.random.default_rng(8).normal(size=(300, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    every = list(range(300))
    scores = gain(prompts, outcomes, vectors)(every)(every)
    rows = recorded_rows(prompts, outcomes, vectors)
    stored = from_parts(*to_parts(train_gain(rows)))
    assert scores == pytest.approx(list(-stored.ranks(stored.values(rows.requests))), abs=1e-3)
