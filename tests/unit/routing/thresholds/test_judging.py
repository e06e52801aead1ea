"""What a judge's word can promise: its own error is paid for."""

import numpy as np

from tierline.routing.thresholds.bounds import holds
from tierline.routing.thresholds.judging import Terms, Trusted, labels_needed, terms, widened

ASKED = 0.10  # wrong among the served, at most
SURE = 0.95


def test_a_judge_that_nobody_checked_promises_nothing() -> None:
    assert terms(Trusted(0, 0), ASKED, SURE) is None
    assert Trusted(0, 0).missed(SURE) == 1.0


def test_a_judge_that_misses_too_much_promises_nothing() -> None:
    assert terms(Trusted(100, 20), ASKED, SURE) is None


def test_so_many_labels_as_it_asks_for_are_enough() -> None:
    needed = labels_needed(ASKED, SURE)
    agreed = terms(Trusted(needed, 0), ASKED, SURE)
    assert agreed is not None
    assert 0.04 < agreed.max_error < ASKED
    assert agreed.confidence > SURE
    assert terms(Trusted(needed // 3, 0), ASKED, SURE) is None


def test_what_is_shown_and_what_is_missed_make_what_was_asked() -> None:
    judge = Trusted(200, 2)
    agreed = terms(judge, ASKED, SURE)
    assert agreed is not None
    assert abs(widened(agreed.max_error, judge.missed(SURE)) - ASKED) < 1e-12


def test_a_promise_by_a_judge_is_broken_no_more_often_than_it_says() -> None:
    """True error 10.5%, of which the judge misses a third: a promise of 10% would be false.

    Without its own error it would be promised nearly always.
    """
    draw = np.random.default_rng(11)
    wrong, seen = 0.105, 2 / 3
    differs = wrong * seen
    missed = (wrong - differs) / (1 - differs)
    promised = careless = 0
    for _ in range(1_000):
        labels = int(draw.binomial(600, missed))
        errors = int(draw.binomial(2_000, differs))
        agreed = terms(Trusted(600, labels), ASKED, SURE)
        promised += agreed is not None and holds(errors, 2_000, agreed.max_error, agreed.confidence)
        careless += holds(errors, 2_000, ASKED, SURE)
    assert promised / 1_000 <= 1 - SURE
    assert careless / 1_000 > 0.9


def test_terms_are_values() -> None:
    assert terms(Trusted(200, 2), ASKED, SURE) == terms(Trusted(200, 2), ASKED, SURE)
    assert isinstance(terms(Trusted(200, 2), ASKED, SURE), Terms)
