"""Looking again and again: no more false alarms for it, and changes are found all the same."""

import numpy as np
import pytest

from tierline.drift.wealth import CHECKS_A_TERM, Bounds, Wealth, alarms, combined

RARE = Bounds(0.0, 0.05)
MIDDLE = Bounds(0.4, 0.6)


def term(means: list[float], seed: int, bounds: Bounds, a_day: int = 20) -> bool:
    """Whether any of a term's daily looks alarms."""
    draw = np.random.default_rng(seed)
    wealth = Wealth()
    for mean in means:
        wealth = wealth.after((draw.random(a_day) < mean).astype(float).tolist(), bounds)
        if alarms(combined({"one": wealth})):
            return True
    return False


@pytest.mark.parametrize(("mean", "bounds"), [(0.05, RARE), (0.4, MIDDLE), (0.6, MIDDLE)])
def test_in_a_term_of_daily_looks_false_alarms_are_rare(mean: float, bounds: Bounds) -> None:
    """At the very edge of what counts as unchanged."""
    alarms = sum(term([mean] * CHECKS_A_TERM, seed, bounds) for seed in range(300))
    assert alarms / 300 <= 0.05


@pytest.mark.parametrize(
    ("after", "bounds"), [(0.2, RARE), (0.8, MIDDLE), (0.2, MIDDLE)], ids=["rise", "up", "down"]
)
def test_a_change_is_found_though_nothing_happened_for_long(after: float, bounds: Bounds) -> None:
    before = (bounds.low + bounds.high) / 2
    alarms = sum(term([before] * 60 + [after] * 15, seed, bounds) for seed in range(50))
    assert alarms >= 45


def test_money_is_never_more_than_was_staked_where_nothing_is_seen() -> None:
    wealth = Wealth()
    for _ in range(CHECKS_A_TERM):
        wealth = wealth.after([], RARE)
    assert wealth.total == pytest.approx(1.0)


def test_it_survives_being_kept() -> None:
    wealth = Wealth().after([0.0, 1.0, 1.0], MIDDLE)
    assert Wealth.from_list(wealth.to_list()) == wealth
    assert Wealth.from_list([]) == Wealth()
