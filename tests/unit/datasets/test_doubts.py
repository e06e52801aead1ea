"""What is odd of a dataset: contradictions, rare labels, labels that look wrong."""

import numpy as np

from tests.support.samples.labelled_vectors import LABELS, texts
from tierline.datasets.doubts import (
    FEWEST_A_LABEL,
    contradictions,
    counted,
    label_errors,
    rare_labels,
    too_rare,
)


def test_alike_rows_that_say_different_things_are_one_doubt() -> None:
    (doubt,) = contradictions([0, 0, 2, 0, 4], ["a", "b", "c", "a", "c"], [0] * 5)
    assert (doubt.kind, doubt.rows) == ("contradiction", (0, 1, 3))
    assert doubt.message == "near duplicates labelled a (2), b (1)"


def test_an_input_that_was_labelled_otherwise_too_is_a_doubt_by_itself() -> None:
    (doubt,) = contradictions([0, 1], ["a", "b"], [0, 2])
    assert doubt.rows == (1,)
    assert doubt.message == "labelled b (1); 2 other labels of the same input differ"


def test_labels_with_few_rows_or_none_are_named() -> None:
    labels = ["a"] * FEWEST_A_LABEL + ["b"] * 3
    doubts = rare_labels(labels, ["a", "b", "c"])
    assert [(one.message.split(" has ")[0], len(one.rows)) for one in doubts] == [
        ("b", 3),
        ("c", 0),
    ]
    assert counted(doubts) == {"rare_label": 2}


def test_swapped_labels_are_found_and_right_ones_mostly_left_alone() -> None:
    vectors, labels = texts(LABELS, 60, seed=1)
    draw = np.random.default_rng(3)
    swapped = set(draw.choice(len(labels), 36, replace=False).tolist())
    given = [
        LABELS[(LABELS.index(label) + 1) % len(LABELS)] if place in swapped else label
        for place, label in enumerate(labels)
    ]
    doubts = label_errors(vectors, given, range(len(given)))
    places = [one.rows[0] for one in doubts]
    assert len(swapped & set(places)) >= 0.8 * len(swapped)
    assert len(set(places) - swapped) <= 0.02 * len(labels)
    assert set(places[:20]) <= swapped  # the surest first
    named = next(one for one in doubts if one.rows[0] in swapped)
    assert f"and {labels[named.rows[0]]} at a chance of" in named.message


def test_a_row_is_not_judged_by_a_classifier_that_saw_its_like() -> None:
    vectors, labels = texts(LABELS, 30, seed=1)
    wrong = LABELS[(LABELS.index(labels[0]) + 1) % len(LABELS)]
    copies = np.vstack([vectors, *([vectors[:1]] * 12)])
    given = [wrong, *labels[1:], *([wrong] * 12)]
    alone = [*range(len(labels)), *([0] * 12)]
    rows = {one.rows[0] for one in label_errors(copies, given, alone)}
    assert {0, *range(len(labels), len(given))} <= rows


def test_a_label_of_one_row_is_left_out_and_the_others_are_looked_at() -> None:
    vectors, labels = texts(LABELS, 30, seed=1)
    given = ["alone", *labels[1:]]
    given[5] = LABELS[(LABELS.index(labels[5]) + 1) % len(LABELS)]
    assert too_rare(given, range(len(given))) == ["alone"]
    assert next(one.rows for one in label_errors(vectors, given, range(len(given)))) == (5,)


def test_nothing_is_said_of_one_label_or_of_none() -> None:
    vectors, labels = texts(LABELS[:2], 5, seed=1)
    places = range(len(labels))
    assert label_errors(vectors, ["a"] * len(labels), places) == []
    assert label_errors(vectors, ["a"] * (len(labels) - 1) + ["b"], places) == []
    assert label_errors(vectors[:0], [], []) == []
