"""What `router train` says of a router: beside prompt length and a coin, on other rows."""

import random

import pytest

from tierline.routing.learned.router_training import LoggedRows, learn_router, recommended
from tierline.routing.replay.paired import Difference


def logged(by: str, count: int = 300) -> LoggedRows:
    """Texts whose answers fail by their digits, by their length, or by chance."""
    draw = random.Random(11)
    texts, right = [], []
    for _ in range(count):
        hard = draw.random() < 0.5
        words = draw.randint(5, 40) + (40 if by == "length" and hard else 0)
        word = "4711 " if by == "digits" and hard else "word "
        texts.append(word * words)
        right.append(draw.random() < (0.15 if hard and by != "chance" else 0.9))
    return LoggedRows(texts, right)


def test_each_stands_beside_prompt_length_and_a_coin() -> None:
    done: list[tuple[int, int]] = []
    lesson = learn_router(logged("digits"), 0.5, lambda *one: done.append(one))
    quality = lesson.quality
    assert set(quality["apgr"]) == {"router", "prompt length", "a coin", "TF-IDF", "kNN"}
    for beside in ("over_length", "over_coin"):
        lead = quality[beside]["router"]
        assert 0 < lead["low"] < lead["mean"] < lead["high"]
    assert quality["over_length"]["prompt length"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert quality["recommended"] == "router"
    assert sum(quality["members"].values()) >= 1
    assert done == [(step, 8) for step in range(9)]


@pytest.mark.parametrize(("by", "expected"), [("length", "length"), ("chance", "nothing")])
def test_a_router_that_is_not_better_is_not_recommended(by: str, expected: str) -> None:
    quality = learn_router(logged(by), 0.5, lambda *_: None).quality
    assert quality["recommended"] == expected
    assert (quality["longest"] is not None) is (by == "length")


def test_only_a_lower_bound_above_zero_recommends() -> None:
    better, unsure = Difference(0.1, 0.05, 0.15), Difference(0.1, -0.05, 0.25)
    assert recommended(better, better, better) == "router"
    assert recommended(unsure, better, better) == "length"
    assert recommended(better, unsure, unsure) == "nothing"
    assert recommended(unsure, better, unsure) == "nothing"
