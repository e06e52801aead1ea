"""Training a micro model: what is fitted on, what is held out, and what is kept of it."""

import numpy as np
import pytest

from tests.support.samples.labelled_vectors import LABELS, texts
from tierline.base.vectors import DIMENSIONS, Vectors
from tierline.routing.learned.micro import Micro
from tierline.routing.learned.micro_parts import from_parts, to_parts
from tierline.routing.learned.micro_training import (
    HELD_OUT_SHARE,
    is_held_out,
    learn,
    no_looser_than_meaning,
)
from tierline.routing.thresholds import threshold_search
from tierline.routing.thresholds.threshold_search import Calibrated


def wide(vectors: Vectors) -> Vectors:
    """The same directions in as many dimensions as a real embedding has."""
    padded: Vectors = np.zeros((len(vectors), DIMENSIONS), dtype=np.float32)
    padded[:, : vectors.shape[1]] = vectors
    return padded


def trained() -> Micro:
    vectors, labels = texts(LABELS, 20, seed=1)
    return learn(wide(vectors), labels, [False] * len(labels), 0.0).micro


def test_nothing_that_is_held_out_is_fitted_on() -> None:
    vectors, labels = texts(LABELS, 20, seed=1)
    held = [place % 3 == 0 for place in range(len(labels))]
    lesson = learn(vectors, labels, held, 0.0)
    assert lesson.rows == held.count(False)
    assert len(lesson.held_out) + lesson.novel == held.count(True)
    # What was held out may say anything: the model is the same.
    lies = ["label-0" if out else label for label, out in zip(labels, held, strict=True)]
    again = learn(vectors, lies, held, 0.0)
    assert np.array_equal(again.micro.head.weights, lesson.micro.head.weights)
    assert sum(one.scored.wrong for one in again.held_out) > sum(
        one.scored.wrong for one in lesson.held_out
    )


def test_strangers_are_so_many_of_what_a_promise_is_tested_on() -> None:
    vectors, labels = texts(LABELS, 20, seed=1)
    lesson = learn(vectors, labels, [place % 2 == 0 for place in range(len(labels))], 0.2)
    strange = [one for one in lesson.held_out if one.label is None]
    assert len(strange) / len(lesson.held_out) == pytest.approx(0.2, abs=0.01)
    assert all(one.scored.wrong for one in strange)


def test_with_few_labels_none_can_be_withheld() -> None:
    vectors, labels = texts(LABELS[:3], 20, seed=1)
    lesson = learn(vectors, labels, [place % 2 == 0 for place in range(len(labels))], 0.2)
    assert lesson.strangers == 0.0


def test_what_is_held_out_goes_by_its_key_and_is_never_a_biased_one() -> None:
    keys = [f"input {number}" for number in range(2_000)]
    held = [is_held_out(key, representative=True) for key in keys]
    assert held == [is_held_out(key, representative=True) for key in keys]
    assert sum(held) / len(held) == pytest.approx(HELD_OUT_SHARE, abs=0.05)
    assert not any(is_held_out(key, representative=False) for key in keys)


def test_it_answers_alike_after_it_was_kept() -> None:
    micro = trained()
    again = from_parts(*to_parts(micro))
    vectors, _ = texts(LABELS, 5, seed=2)
    for before, after in zip(micro.answer(wide(vectors)), again.answer(wide(vectors)), strict=True):
        assert before.label == after.label
        assert after.score == pytest.approx(before.score, abs=0.01)  # examples at half precision


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"labels": ["label-0"], "trust": {"intercept": 0.0, "terms": {}}},
        {"labels": [*LABELS[:-1], LABELS[0]], "trust": {"intercept": 0.0, "terms": {}}},
        {"labels": LABELS, "trust": {"intercept": "much", "terms": []}},
    ],
    ids=["empty", "one label", "a label twice", "no combination"],
)
def test_what_is_no_micro_model_is_refused(document: dict[str, object]) -> None:
    _, packed = to_parts(trained())
    with pytest.raises(ValueError, match="not a micro model"):
        from_parts(document, packed)


@pytest.mark.parametrize("packed", [b"", b"PK", None])
def test_numbers_that_are_none_are_refused(packed: bytes | None) -> None:
    document, _ = to_parts(trained())
    with pytest.raises(ValueError, match="not a micro model"):
        from_parts(document, packed)


def test_inputs_are_answered_by_heads_that_saw_nothing_of_their_meaning() -> None:
    """Each text comes thrice, nearly the same: by near duplicates alone a head has seen it."""
    vectors, labels = texts(LABELS, 20, seed=1)
    draw = np.random.default_rng(0)
    copies = [vectors + draw.normal(scale=0.01, size=vectors.shape) for _ in range(3)]
    tripled = np.concatenate(copies).astype(np.float32)
    tripled /= np.linalg.norm(tripled, axis=1, keepdims=True)
    wrong_labels = [labels[draw.integers(len(labels))] for _ in labels]  # only copies tell these
    held = [place < len(labels) for place in range(3 * len(labels))]
    lesson = learn(tripled, wrong_labels * 3, held, 0.0)
    by_copies = [one.scored.wrong for one in lesson.held_out]
    by_meaning = [one.scored.wrong for one in lesson.by_meaning]
    assert sum(by_meaning) / len(by_meaning) > sum(by_copies) / len(by_copies) + 0.1


def test_a_promise_is_no_looser_than_the_split_by_meaning_allows() -> None:
    vectors, labels = texts(LABELS, 20, seed=1)
    lesson = learn(vectors, labels, [place % 2 == 0 for place in range(len(labels))], 0.0)
    assert lesson.by_meaning
    steps = [threshold_search.Tested(threshold, 100, 0, 0.02) for threshold in (0.9, 0.8, 0.7)]
    calibrated = Calibrated(steps[2], tuple(steps), 200)

    def allowed(meaning: Calibrated) -> float | None:
        chosen = no_looser_than_meaning(lesson, calibrated, meaning).chosen
        return None if chosen is None else chosen.threshold

    assert allowed(Calibrated(steps[0], (), 200)) == 0.9
    assert allowed(Calibrated(threshold_search.Tested(0.75, 1, 0, 0.0), (), 200)) == 0.8
    assert allowed(Calibrated(threshold_search.Tested(0.1, 1, 0, 0.0), (), 200)) == 0.7
    assert allowed(Calibrated(None, (), 200)) is None
    assert allowed(Calibrated(None, (), 9, missing=40)) == 0.7  # too few to say
