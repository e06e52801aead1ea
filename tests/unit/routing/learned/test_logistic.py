"""Logistic regression by Newton's method, held against scikit-learn's."""

import numpy as np
import pytest

from tierline.routing.learned import logistic
from tierline.routing.learned.logistic import fit_logistic


def drawn(count: int = 900, columns: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(count, columns)).astype(np.float32)
    odds = rows @ draw.normal(size=columns) + 1.0
    return rows, draw.random(count) < 1.0 / (1.0 + np.exp(-odds))


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
def test_it_finds_the_model_that_scikit_learn_finds(penalty: float) -> None:
    # Imported here: it takes seconds, and every process of the tests reads this file.
    from sklearn.linear_model import LogisticRegression

    rows, truth = drawn()
    fitted = fit_logistic(rows, truth, penalty)
    theirs = LogisticRegression(C=penalty, tol=1e-8, max_iter=10_000).fit(rows, truth)
    assert fitted.weights == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert fitted.intercept == pytest.approx(theirs.intercept_[0], abs=2e-3)
    assert fitted.log_odds(rows) == pytest.approx(theirs.decision_function(rows), abs=1e-2)


def test_a_similar_fit_makes_it_faster_and_does_not_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, truth = drawn()
    start = fit_logistic(rows[:800], truth[:800], 3.0)
    alone = fit_logistic(rows, truth, 3.0)
    made: list[int] = []
    curvature = logistic.curvature_of
    monkeypatch.setattr(
        logistic, "curvature_of", lambda *given: made.append(1) or curvature(*given)
    )
    again = fit_logistic(rows, truth, 3.0, start)
    assert again.weights == pytest.approx(alone.weights, abs=2e-3)
    assert not made


def test_rows_that_can_be_told_apart_without_a_mistake_end_as_well() -> None:
    rows = np.linspace(-1.0, 1.0, 60, dtype=np.float32)[:, None]
    truth = rows[:, 0] > 0.0
    fitted = fit_logistic(rows, truth, 1e6)
    assert ((fitted.log_odds(rows) > 0.0) == truth).all()
    assert np.isfinite(fitted.weights).all()


def test_two_equal_columns_share_the_weight() -> None:
    rows, truth = drawn(columns=1)
    fitted = fit_logistic(np.hstack([rows, rows]), truth, 1.0)
    assert fitted.weights[0] == pytest.approx(fitted.weights[1], rel=1e-3)
