"""A trained router, kept and read again."""

import random

import numpy as np
import pytest

from tierline.routing.learned.complexity import text_signals, train
from tierline.routing.learned.trained import again, by_rules, from_parts, predict, quality, to_parts


def rows(count: int = 200) -> tuple[list[str], list[bool], np.ndarray]:
    """Long texts fail, and their embeddings lean another way."""
    draw = random.Random(5)
    noise = np.random.default_rng(5)
    texts, right, vectors = [], [], []
    for _ in range(count):
        long = draw.random() < 0.5
        texts.append("word " * (60 if long else 6))
        right.append(draw.random() < (0.2 if long else 0.95))
        vector = noise.normal(size=384) + (3.0 if long else -3.0) * np.eye(384)[0]
        vectors.append(vector / np.linalg.norm(vector))
    return texts, right, np.array(vectors, dtype=np.float32)


@pytest.mark.parametrize("with_embeddings", [False, True])
def test_a_kept_router_predicts_as_it_did(with_embeddings: bool) -> None:
    texts, right, vectors = rows()
    signals = [text_signals(text) for text in texts]
    router = train(signals, right, vectors if with_embeddings else None, 100)
    document, packed = to_parts(router)
    assert (packed is not None) is with_embeddings
    read = from_parts(document, packed)
    for place in (0, 1, 2, 3):
        vector = vectors[place : place + 1] if with_embeddings else None
        before = predict(router, texts[place], vector, "before")
        after = predict(read, texts[place], vector, "after")
        assert after.risk == pytest.approx(before.risk, abs=0.01)
        assert again(read, after.signals) == after.risk
    risks = [
        predict(read, text, vectors[:1] if with_embeddings else None, "x").risk
        for text in ("word " * 6, "word " * 60)
    ]
    assert risks[0] < risks[1]


@pytest.mark.parametrize(
    ("document", "packed"),
    [
        ({"terms": {}}, None),
        ({"intercept": 0, "terms": {"x": {"mean": 1}}}, None),
        ({"intercept": 0, "terms": {}}, b"no archive"),
    ],
)
def test_what_is_no_router_is_refused(document: dict[str, object], packed: bytes | None) -> None:
    with pytest.raises(ValueError, match="not a router"):
        from_parts(document, packed)


def test_the_rule_of_a_cold_start_is_length_and_nothing_else() -> None:
    assert by_rules("x" * 10, 9).risk == 1.0
    assert by_rules("x" * 9, 9).risk == 0.0
    assert by_rules("x" * 10_000, None).risk == 0.0


def test_quality_tells_a_good_score_from_a_bad_one() -> None:
    right = [True, False] * 50
    good = quality(right, [0.9, 0.1] * 50)
    bad = quality(right, [0.5, 0.5] * 50)
    assert good["auroc"] == 1.0
    assert bad["auroc"] == 0.5
    assert good["brier"] < bad["brier"] == pytest.approx(good["brier_of_the_mean"])
