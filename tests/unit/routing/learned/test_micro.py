"""The micro tier: a head on embeddings, and when to trust it."""

import numpy as np
import pytest

from tests.support.samples.labelled_vectors import LABELS, texts
from tierline.routing.learned.micro import mixed, strangers, train
from tierline.routing.thresholds.combination import CannotLearn
from tierline.routing.thresholds.threshold_search import Scored, grid, search_threshold


def test_it_names_the_label() -> None:
    micro = train(*texts(LABELS, 30, seed=1)).micro
    vectors, labels = texts(LABELS, 20, seed=2)
    answers = micro.answer(vectors)
    assert np.mean([a.label == label for a, label in zip(answers, labels, strict=True)]) > 0.9
    assert all(0.0 <= answer.score <= 1.0 for answer in answers)


def test_a_promise_survives_kinds_that_were_never_seen() -> None:
    """Ten labels are known; a sixth of what comes is of the two others."""
    labels_seen = LABELS[:10]
    fitted, calibrating, coming = (
        texts(labels_seen, 60, seed=1),
        texts(labels_seen, 120, seed=2),
        None,
    )
    trained = train(*fitted)
    strange = strangers(trained.micro, *fitted, *calibrating)
    scored = [
        Scored(answer.score, answer.label != label)
        for answer, label in zip(trained.micro.answer(calibrating[0]), calibrating[1], strict=True)
    ]
    plan = mixed(trained.planned, strange, 0.2)
    calibrated = search_threshold(
        mixed(scored, strange, 0.2), grid([one.score for one in plan]), 0.05, 0.95
    )
    assert calibrated.chosen is not None
    coming = texts(LABELS, 100, seed=3)
    served = [
        answer.label != label
        for answer, label in zip(trained.micro.answer(coming[0]), coming[1], strict=True)
        if answer.score >= calibrated.chosen.threshold
    ]
    assert sum(served) / len(served) <= 0.05
    assert len(served) > 500


def test_two_labels_are_enough_and_one_is_not() -> None:
    vectors, labels = texts(LABELS[:2], 30, seed=1)
    answers = train(vectors, labels).micro.answer(vectors)
    assert {answer.label for answer in answers} == set(LABELS[:2])
    with pytest.raises(CannotLearn, match="two labels"):
        train(*texts(LABELS[:1], 30, seed=1))


def test_a_label_with_one_text_is_too_little() -> None:
    vectors, labels = texts(LABELS[:3], 10, seed=1)
    lone = labels.index(LABELS[2])
    kept = [i for i, label in enumerate(labels) if label != LABELS[2] or i == lone]
    with pytest.raises(CannotLearn, match="'label-2' has 1"):
        train(vectors[kept], [labels[index] for index in kept])


def test_a_mixture_has_the_share_that_was_asked_for() -> None:
    familiar, strange = [Scored(0.9, wrong=False)] * 900, [Scored(0.2, wrong=True)] * 30
    mixture = mixed(familiar, strange, 0.1)
    assert len(mixture) == 1_000
    assert sum(one.wrong for one in mixture) == 100
    assert mixed(familiar, [], 0.0) == familiar
    with pytest.raises(ValueError, match="strangers"):
        mixed(familiar, [], 0.1)
    with pytest.raises(ValueError, match="share"):
        mixed(familiar, strange, 1.0)
