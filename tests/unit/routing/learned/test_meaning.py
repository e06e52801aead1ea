"""Groups of texts that mean nearly the same."""

import numpy as np

from tierline.base.vectors import Vectors
from tierline.routing.learned.meaning import AT_ONCE, meaning_groups


def at(*degrees: float) -> Vectors:
    turns = np.radians(np.array(degrees))
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def test_what_is_similar_to_a_leader_joins_its_group() -> None:
    assert meaning_groups(at(0, 90, 10, 80, 180)) == [0, 1, 0, 1, 4]


def test_the_most_similar_leader_is_joined() -> None:
    assert meaning_groups(at(0, 50, 30)) == [0, 1, 1]


def test_groups_do_not_depend_on_how_many_rows_are_compared_at_a_time() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(40, 32))
    rows = centres[draw.integers(0, 40, 2 * AT_ONCE)] + draw.normal(size=(2 * AT_ONCE, 32)) * 0.3
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    groups = meaning_groups(vectors)
    leaders: list[int] = []
    for place, row in enumerate(vectors):
        cosines = vectors[leaders] @ row if leaders else np.zeros(0)
        best = int(cosines.argmax()) if len(cosines) else -1
        if best < 0 or cosines[best] < 0.75:
            leaders.append(place)
        else:
            assert groups[place] == leaders[best]
    assert sorted(set(groups)) == leaders


def test_nothing_has_no_group() -> None:
    assert meaning_groups(at()) == []
