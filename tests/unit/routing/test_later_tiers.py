"""Which later tiers are worth asking."""

from tierline.routing.later_tiers import FEWEST, Seen, Step, steps

FRONTIER = Seen("frontier", 100, 0.95, 0.01, 3.0)


def left_out(found: list[Step]) -> list[str]:
    return [step.tier.name for step in found if step.left_out is not None]


def test_a_tier_that_spares_more_than_it_costs_is_asked() -> None:
    mid = Seen("mid", 100, 0.5, 0.002, 1.0)  # spares half of 0.01
    assert left_out(steps([mid, FRONTIER], None)) == []


def test_a_tier_that_costs_more_than_it_spares_is_left_out_and_says_why() -> None:
    mid = Seen("mid", 100, 0.1, 0.002, 1.0)  # spares a tenth of 0.01
    first, last = steps([mid, FRONTIER], None)
    assert first.left_out == "mid costs 0.002 USD and spares 0.001 on average: it passes 10%"
    assert last.left_out is None


def test_what_is_not_known_speaks_against_nothing() -> None:
    for mid in (
        Seen("mid"),
        Seen("mid", FEWEST - 1, 0.0, 9.0, 99.0),
        Seen("mid", 100, 0.1, None, 1.0),
        Seen("mid", 100, None, 0.002, 1.0),
    ):
        assert left_out(steps([mid, FRONTIER], 5.0)) == []
    mid = Seen("mid", 100, 0.1, 0.002, 1.0)
    assert left_out(steps([mid, Seen("frontier")], None)) == []


def test_a_tier_that_is_too_slow_is_left_out_also_the_last() -> None:
    mid = Seen("mid", 100, 0.5, 0.002, 1.0)
    assert left_out(steps([mid, FRONTIER], 2.0)) == ["frontier"]
    assert left_out(steps([mid, FRONTIER], 0.5)) == ["mid", "frontier"]
    assert left_out(steps([mid, FRONTIER], -1.0)) == ["mid", "frontier"]
    assert left_out(steps([mid, FRONTIER], 60.0)) == []


def test_what_a_tier_spares_is_what_the_tiers_that_are_asked_would_cost() -> None:
    small = Seen("small", 100, 0.3, 0.001, 0.5)
    mid = Seen("mid", 100, 0.9, 0.001, 1.0)  # after it a job costs 0.002 on average
    assert left_out(steps([small, mid, FRONTIER], None)) == ["small"]  # it spares 0.0006
    poor = Seen("mid", 100, 0.05, 0.001, 1.0)  # left out: then small spares 0.003
    assert left_out(steps([small, poor, FRONTIER], None)) == ["mid"]
