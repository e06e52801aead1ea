"""Routing by the request alone."""

import random

import numpy as np
import pytest

from tierline.base.vectors import Vectors
from tierline.routing.learned.complexity import text_signals, train
from tierline.routing.thresholds.combination import CannotLearn


def requests(count: int, seed: int) -> tuple[list[dict[str, float]], list[bool], Vectors]:
    """Long requests are harder, and so is one corner of the space of meanings."""
    draw = random.Random(seed)
    texts, right, vectors = [], [], []
    for _ in range(count):
        words = draw.randint(3, 80)
        vector = np.array([draw.gauss(0, 1) for _ in range(8)])
        vector /= np.linalg.norm(vector)
        texts.append(text_signals("word " * words))
        vectors.append(vector)
        right.append(
            draw.random() < (0.95 if words < 40 else 0.5) * (0.4 if vector[0] > 0.4 else 1)
        )
    return texts, right, np.array(vectors, dtype=np.float32)


def told_apart(scores: list[float], right: list[bool]) -> float:
    """The chance that a right one scores above a wrong one (AUROC)."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(right, scores))


def test_it_learns_from_the_text_and_more_with_its_meaning() -> None:
    texts, right, vectors = requests(800, seed=1)
    new_texts, new_right, new_vectors = requests(800, seed=2)
    by_text = told_apart(train(texts, right).scores(new_texts), new_right)
    by_both = told_apart(train(texts, right, vectors).scores(new_texts, new_vectors), new_right)
    assert by_text > 0.62
    assert by_both > by_text + 0.02


def test_meanings_that_say_nothing_do_not_drown_the_text() -> None:
    texts, right, vectors = requests(400, seed=1)
    new_texts, new_right, new_vectors = requests(800, seed=2)
    shuffled = vectors[np.random.default_rng(0).permutation(len(vectors))]
    by_text = told_apart(train(texts, right).scores(new_texts), new_right)
    with_noise = told_apart(train(texts, right, shuffled).scores(new_texts, new_vectors), new_right)
    assert with_noise > by_text - 0.05


def test_a_router_that_needs_embeddings_says_so() -> None:
    texts, right, vectors = requests(100, seed=1)
    with pytest.raises(ValueError, match="needs them"):
        train(texts, right, vectors).scores(texts)


def test_too_few_of_a_kind_teach_nothing() -> None:
    texts, _, vectors = requests(10, seed=1)
    with pytest.raises(CannotLearn):
        train(texts, [False, *[True] * 9], vectors)


@pytest.mark.parametrize("text", ["", " ", "a", "WHAT?\n12 €", "🙂" * 50])
def test_every_text_has_signals(text: str) -> None:
    assert all(np.isfinite(value) for value in text_signals(text).values())
