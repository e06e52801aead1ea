"""The router by gain: as it is stored, read again and asked."""

import random
import sys
from typing import Any

import numpy as np
import pytest

from tierline.base.vectors import DIMENSIONS
from tierline.routing.learned import gain_parts, gain_training
from tierline.routing.learned.gain_router import (
    GainRouter,
    Member,
    Neighbours,
    requests_of,
)
from tierline.routing.learned.gain_training import GainRows, chance_by_length, train_gain
from tierline.routing.learned.trained import again, from_parts, needs_vectors, predict, to_parts


def rows(count: int = 300, *, vectors: bool = True) -> tuple[list[str], GainRows]:
    """A later tier mends the long texts and one corner of the meanings. A step costs by length."""
    draw, noise = random.Random(7), np.random.default_rng(7)
    texts, gains, seen = [], [], []
    for _ in range(count):
        corner = draw.random() < 0.5
        texts.append("word " * draw.randint(3, 60))
        hard = 0.1 + (0.4 if corner else 0.0) + (0.4 if len(texts[-1]) > 150 else 0.0)
        gains.append(float(draw.random() < hard))
        vector = noise.normal(size=DIMENSIONS) + (8.0 if corner else -8.0) * np.eye(DIMENSIONS)[0]
        seen.append(vector / np.linalg.norm(vector))
    embeddings = np.array(seen, dtype=np.float32) if vectors else None
    prices = np.array([0.001 + len(text) * 1e-5 for text in texts])
    return texts, GainRows(requests_of(texts, embeddings), np.array(gains), prices, np.ones(count))


def every_part() -> GainRouter:
    """A router whose ensemble has one predictor of each kind."""
    _, given = rows()
    made = train_gain(given)
    fitters = gain_training.fitters_of(given)
    every = np.arange(len(given))
    predictors = {name: one(every) for name, one in fitters.items()}
    ranks = {
        name: gain_training.ranks_of(one.predict(given.requests))
        for name, one in predictors.items()
    }
    members = tuple(
        Member(name, weighed, 1, ranks[name])
        for name in predictors
        for weighed in ((False, True) if name == "kinds" else (False,))
    )
    return GainRouter(predictors, members, made.price, made.curve)


@pytest.mark.parametrize("kind", ["form", "form and meaning", "every part"])
def test_a_stored_router_predicts_as_it_did_without_scikit_learn(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, given = rows(vectors=kind != "form")
    router = every_part() if kind == "every part" else train_gain(given)
    document, packed = to_parts(router)
    assert (packed is None) is not needs_vectors(router)
    for name in [one for one in sys.modules if one.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)  # importing it raises from here on
    read = from_parts(document, packed)
    for place in range(5):
        vectors = given.requests.vectors
        vector = None if vectors is None else vectors[place : place + 1]
        before = predict(router, texts[place], vector, "before")
        after = predict(read, texts[place], vector, "after")
        assert after.risk == pytest.approx(before.risk, abs=0.01)
        assert again(read, after.signals) == after.risk


def test_it_tells_apart_what_a_later_tier_mends() -> None:
    _, given = rows(600)
    fitted, judged = given.of(np.arange(300)), given.of(np.arange(300, 600))
    risks = np.array(train_gain(fitted).risks(judged.requests))
    assert risks[judged.gains > 0].mean() > risks[judged.gains == 0].mean() + 0.1
    assert risks.mean() == pytest.approx(judged.gains.mean(), abs=0.1)


def test_a_row_that_was_drawn_rarely_stands_for_many() -> None:
    """Every mended row is known, and one in ten of the others."""
    _, given = rows(600)
    draw = np.random.default_rng(1)
    kept = np.flatnonzero((given.gains > 0) | (draw.random(600) < 0.1))
    stands_for = np.where(given.gains[kept] > 0, 1.0, 10.0)
    some = given.of(kept)
    weighed = GainRows(some.requests, some.gains, some.prices, stands_for)
    unweighed = np.array(train_gain(some).risks(given.requests)).mean()
    assert unweighed > given.gains.mean() + 0.2
    mean_risk = np.array(train_gain(weighed).risks(given.requests)).mean()
    assert mean_risk == pytest.approx(given.gains.mean(), abs=0.12)


def test_prices_that_nobody_knows_are_not_looked_at() -> None:
    _, given = rows()
    unknown = np.full(len(given), np.nan)
    router = train_gain(GainRows(given.requests, given.gains, unknown, given.stands_for))
    assert router.price is None
    assert not any(one.weighed for one in router.members)
    assert from_parts(*to_parts(router))


def test_more_gain_than_loss_never_lowers_the_risk() -> None:
    """Of gains that nothing explains, every text gets nearly their share."""
    draw = np.random.default_rng(2)
    _, given = rows(200, vectors=False)
    noise = GainRows(
        given.requests, (draw.random(200) < 0.3).astype(float), given.prices, given.stands_for
    )
    router = train_gain(noise)
    assert router.curve.terms["rank"].weight <= 0
    assert all(0.05 < one < 0.7 for one in router.risks(given.requests))


def test_the_stored_size_is_bounded() -> None:
    count = 5_000
    numbers = np.random.default_rng(3)
    vectors = numbers.normal(size=(count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = gain_training.nearest_examples(vectors, np.zeros(count), 10, np.arange(count))
    assert isinstance(near, Neighbours)
    assert len(near.examples) == gain_training.MOST_EXAMPLES
    one = every_part()
    document, packed = to_parts(
        GainRouter({**one.predictors, "10 neighbours": near}, one.members, one.price, one.curve)
    )
    assert packed is not None
    assert len(packed) < gain_parts.MOST_BYTES
    assert len(str(document)) < 200_000


def test_the_length_from_which_a_later_tier_is_worth_it() -> None:
    draw = random.Random(4)
    texts = ["a" * draw.randint(10, 400) for _ in range(500)]
    gains = np.array([float(draw.random() < (0.9 if len(one) > 200 else 0.1)) for one in texts])
    given = GainRows(requests_of(texts, None), gains, np.full(500, np.nan), np.ones(500))
    longest = chance_by_length(given, 0.5)
    assert longest is not None
    assert 140 < longest < 260
    assert chance_by_length(given, 0.999) is None


BROKEN: list[tuple[str, Any]] = [
    ("predictors", {}),
    ("predictors", {"length": {"by": "magic"}}),
    ("predictors", {"length": {"by": "neighbours", "count": 5}}),
    ("members", []),
    ("members", [{"predictor": "nobody"}]),
    ("price", {"slope": 0, "middle": 0, "mean": 1, "least": 0}),
    ("price", 7),
    ("curve", {"intercept": 0, "terms": {}}),
]


@pytest.mark.parametrize(("name", "value"), BROKEN)
def test_what_is_no_router_is_refused(name: str, value: Any) -> None:
    _, given = rows(60, vectors=False)
    document, packed = to_parts(train_gain(given))
    with pytest.raises(ValueError, match="not a router"):
        from_parts({**document, name: value}, packed)


def test_vectors_of_another_shape_are_refused() -> None:
    router = every_part()
    document, packed = to_parts(router)
    assert packed is not None
    with pytest.raises(ValueError, match="not a router"):
        from_parts(document, packed[: len(packed) // 2])
    with pytest.raises(ValueError, match="not a router"):
        from_parts(document, None)
