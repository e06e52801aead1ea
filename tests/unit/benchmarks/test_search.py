"""The threshold search beside other methods, on simulated sets of outcomes."""

import pytest

from benchmarks.search.__main__ import MOST_BROKEN, PROMISES, SETS
from benchmarks.search.methods import KINDS, METHODS, Kind, draw, result


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "count",
    [100, 300, *(pytest.param(n, marks=pytest.mark.nightly) for n in (1_000, 3_000))],
)
def test_every_method_breaks_its_promise_in_at_most_one_of_twenty_sets(
    kind: Kind, count: int
) -> None:
    sets = draw(kind, SETS, count, seed=1)
    for max_error in PROMISES:
        for name, method in METHODS.items():
            seen = result(kind, method(sets, max_error), max_error)
            assert seen.broken <= MOST_BROKEN, (name, max_error)
            assert seen.power <= 1.05


def test_little_data_serves_most_of_what_the_best_threshold_would() -> None:
    strong = KINDS[0]
    sets = draw(strong, 300, 300, seed=2)
    assert result(strong, METHODS["tierline"](sets, 0.03), 0.03).power > 0.6
    sets = draw(strong, 300, 1_000, seed=2)
    assert result(strong, METHODS["tierline"](sets, 0.01), 0.01).power > 0.5
