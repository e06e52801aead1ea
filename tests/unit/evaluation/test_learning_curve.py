"""Whether more data would help: a curve through errors at growing shares of it."""

import numpy as np

from tierline.base.vectors import Vectors
from tierline.evaluation.learning_curve import SHARES, learning_curve

DIMENSIONS = 60


def drawn(count: int, seed: int, noise: float, apart: float = 0.28) -> tuple[Vectors, list[str]]:
    """Three kinds around centres of their own, of which a share is labelled at random."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(3, DIMENSIONS))
    kinds = draw.integers(0, 3, count)
    vectors = centres[kinds] * apart + draw.normal(size=(count, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    said = np.where(draw.random(count) < noise, draw.integers(0, 3, count), kinds)
    return vectors.astype(np.float32), [f"kind-{number}" for number in said]


def test_while_errors_still_fall_more_data_helps_and_the_forecast_is_near() -> None:
    tested = drawn(3_000, 2, 0.0)
    curve = learning_curve(*drawn(960, 1, 0.0), *tested)
    assert curve is not None
    assert curve.rows == tuple(round(share * 960) for share in SHARES)
    assert list(curve.errors) == sorted(curve.errors, reverse=True)
    assert curve.helps
    later = learning_curve(*drawn(1_920, 3, 0.0), *tested)
    assert later is not None
    assert abs(later.now - curve.doubled) < 0.01


def test_what_is_told_apart_already_needs_no_more_data() -> None:
    curve = learning_curve(*drawn(600, 1, 0.0, apart=1.0), *drawn(600, 2, 0.0, apart=1.0))
    assert curve is not None
    assert curve.now < 0.01
    assert not curve.helps


def test_what_noise_in_the_labels_leaves_no_amount_of_data_takes_away() -> None:
    curve = learning_curve(*drawn(3_000, 1, 0.6), *drawn(1_500, 2, 0.6))
    assert curve is not None
    assert curve.floor > 0.3
    assert curve.doubled > 0.4


def test_with_too_few_rows_or_one_label_there_is_no_curve() -> None:
    vectors, labels = drawn(20, 1, 0.0)
    assert learning_curve(vectors, labels, vectors, labels) is None
    many, _ = drawn(200, 1, 0.0)
    assert learning_curve(many, ["a"] * 200, vectors, labels) is None
