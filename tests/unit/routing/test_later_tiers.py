"""Which later tiers are worth asking."""

from tierline.routing.later_tiers import FEWEST, LaterTier, TierStats, worth_calling

FRONTIER = TierStats("frontier", 100, 0.95, 0.01, 3.0)


def skipped(tiers: list[LaterTier]) -> list[str]:
    return [step.stats.name for step in tiers if step.skipped is not None]


def test_a_tier_that_spares_more_than_it_costs_is_asked() -> None:
    mid = TierStats("mid", 100, 0.5, 0.002, 1.0)  # spares half of 0.01
    assert skipped(worth_calling([mid, FRONTIER], None)) == []


def test_a_tier_that_costs_more_than_it_spares_is_skipped_and_says_why() -> None:
    mid = TierStats("mid", 100, 0.1, 0.002, 1.0)  # spares a tenth of 0.01
    first, last = worth_calling([mid, FRONTIER], None)
    assert first.skipped == "mid costs 0.002 USD and saves 0.001 on average: it passes 10%"
    assert last.skipped is None


def test_what_is_not_known_speaks_against_nothing() -> None:
    for mid in (
        TierStats("mid"),
        TierStats("mid", FEWEST - 1, 0.0, 9.0, 99.0),
        TierStats("mid", 100, 0.1, None, 1.0),
        TierStats("mid", 100, None, 0.002, 1.0),
    ):
        assert skipped(worth_calling([mid, FRONTIER], 5.0)) == []
    mid = TierStats("mid", 100, 0.1, 0.002, 1.0)
    assert skipped(worth_calling([mid, TierStats("frontier")], None)) == []


def test_a_tier_that_is_too_slow_is_skipped_also_the_last() -> None:
    mid = TierStats("mid", 100, 0.5, 0.002, 1.0)
    assert skipped(worth_calling([mid, FRONTIER], 2.0)) == ["frontier"]
    assert skipped(worth_calling([mid, FRONTIER], 0.5)) == ["mid", "frontier"]
    assert skipped(worth_calling([mid, FRONTIER], -1.0)) == ["mid", "frontier"]
    assert skipped(worth_calling([mid, FRONTIER], 60.0)) == []


def test_what_a_tier_spares_is_what_the_tiers_that_are_asked_would_cost() -> None:
    small = TierStats("small", 100, 0.3, 0.001, 0.5)
    mid = TierStats("mid", 100, 0.9, 0.001, 1.0)  # after it a job costs 0.002 on average
    assert skipped(worth_calling([small, mid, FRONTIER], None)) == ["small"]  # it spares 0.0006
    poor = TierStats("mid", 100, 0.05, 0.001, 1.0)  # skipped: then small spares 0.003
    assert skipped(worth_calling([small, poor, FRONTIER], None)) == ["mid"]
