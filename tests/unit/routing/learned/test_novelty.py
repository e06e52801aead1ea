"""What is novel: inputs that lie further from the known ones than those from each other."""

import numpy as np
import pytest

from tests.support.samples.labelled_vectors import LABELS, texts
from tierline.routing.learned.novelty import (
    FEWEST,
    MOST_EXAMPLES,
    NOVEL_SHARE,
    known_from,
    least_of,
    packed,
    unpacked,
)


def test_what_is_like_the_known_is_not_novel_and_what_is_of_another_kind_is() -> None:
    known_inputs = known_from(texts(LABELS[:10], 100, seed=1)[0])
    assert known_inputs is not None
    alike = known_inputs.likeness(texts(LABELS[:10], 50, seed=2)[0])
    strange = known_inputs.likeness(texts(LABELS[10:], 50, seed=3)[0])
    assert np.mean([one < known_inputs.least for one in alike]) < 3 * NOVEL_SHARE
    assert np.mean([one < known_inputs.least for one in strange]) > 0.95


def test_of_few_nothing_is_said() -> None:
    assert least_of([0.5] * (FEWEST - 1)) is None
    assert least_of([0.5] * FEWEST) == 0.5
    assert known_from(texts(LABELS, 4, seed=1)[0]) is None


def test_a_bounded_number_is_kept() -> None:
    known_inputs = known_from(texts(LABELS, 300, seed=1)[0])
    assert known_inputs is not None
    assert len(known_inputs.examples) == MOST_EXAMPLES


def test_vectors_survive_being_kept() -> None:
    vectors = texts(LABELS, 3, seed=1)[0]
    again = unpacked(packed(vectors), vectors.shape[1])
    assert again.shape == vectors.shape
    assert again == pytest.approx(vectors, abs=1e-3)
