"""What a way of running a feature costs, where ways break even, and what saves most."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tierline.economics.estimates import Estimate
from tierline.economics.levers import TierUse, levers
from tierline.economics.scenarios import Machine, Volume, Way, break_evens, scenario
from tierline.pricing import Price

VOLUME = Volume(Decimal(100_000), Decimal(10))
FRONTIER = Way("frontier only", Estimate(Decimal("0.01"), Decimal("0.009"), Decimal("0.011")))
SMALL = Way("slm only", Estimate.exact(Decimal("0.0005")))
OWN = Way("own", Estimate.exact(Decimal(0)), Machine(Decimal(2), Decimal(4)))


def test_what_is_paid_by_the_request_scales_with_the_volume() -> None:
    costs = scenario(FRONTIER, VOLUME, Decimal(200_000))
    assert costs.per_day.value == 1_000
    assert costs.per_month == Estimate(Decimal("30437.5"), Decimal("27393.75"), Decimal("33481.25"))
    assert costs.at_peak_per_hour.value == 360
    assert costs.of_revenue is not None
    assert costs.of_revenue.value == Decimal("0.1521875")
    assert costs.too_expensive
    assert scenario(FRONTIER, VOLUME).too_expensive is None
    assert scenario(SMALL, VOLUME, Decimal(200_000)).too_expensive is False


def test_a_machine_costs_its_hours_and_is_kept_for_the_peak() -> None:
    costs = scenario(OWN, VOLUME)
    assert costs.replicas == 3
    assert costs.per_day.value == 144
    assert costs.at_peak_per_hour.value == 6
    assert scenario(OWN, Volume(Decimal(10), Decimal("0.01"))).replicas == 1


def test_at_the_break_even_both_cost_the_same_and_below_it_the_machine_costs_more() -> None:
    (even, never) = break_evens([FRONTIER, SMALL, OWN], VOLUME)
    assert (even.kept, even.paid) == ("own", "frontier only")
    assert even.per_day == 4_800
    here, below = (VOLUME.scaled_to(even.per_day * part) for part in (1, Decimal("0.9")))
    assert scenario(OWN, here).per_day.value == scenario(FRONTIER, here).per_day.value
    assert scenario(OWN, below).per_day.value > scenario(FRONTIER, below).per_day.value
    # 40,000 requests a day are what a replica takes at this peak: $20 elsewhere, $48 here.
    assert never.per_day is None


@given(
    st.decimals("0.0001", "0.1", places=4),
    st.decimals("0.1", "50", places=2),
    st.decimals("0.01", "100", places=2),
)
def test_from_the_break_even_on_a_machine_is_no_dearer(
    price: Decimal, hourly: Decimal, rate: Decimal
) -> None:
    paid = Way("paid", Estimate.exact(price))
    kept = Way("kept", Estimate.exact(Decimal(0)), Machine(hourly, rate))
    (even,) = break_evens([paid, kept], VOLUME)
    if even.per_day is None:
        full = Machine(hourly, rate).requests_per_s * VOLUME.per_day / VOLUME.peak_per_s
        assert hourly * 24 > price * full
        return
    here = VOLUME.scaled_to(even.per_day)
    assert scenario(kept, here).per_day.value <= scenario(paid, here).per_day.value * Decimal(
        "1.000001"
    )


def use(**more: object) -> TierUse:
    price = Price(Decimal(1), Decimal(4), Decimal("0.1"))
    given_: dict[str, object] = {
        "name": "frontier",
        "attempts": Estimate.exact(Decimal(1)),
        "cost": Estimate.exact(Decimal("0.0018")),
        "input_tokens": Decimal(1_000),
        "output_tokens": Decimal(200),
        "fixed_share": Decimal("0.8"),
        "price": price,
        "flex": Price(Decimal("0.5"), Decimal(2)),
        **more,
    }
    return TierUse(**given_)  # type: ignore[arg-type]


def test_the_three_that_save_most_are_named_with_their_worth() -> None:
    highest = levers([use()], Volume(Decimal(1_000), Decimal(1)))
    savings = {one.name: one.saves_per_month.value for one in highest}
    a_month = 1_000 * Decimal("30.4375")
    assert savings == {
        "frontier: the slower service tier flex": Decimal("0.0009") * a_month,
        "frontier: instructions read from a cache": Decimal("0.00072") * a_month,
        "frontier: a quarter less output": Decimal("0.0002") * a_month,
    }
    assert list(savings.values()) == sorted(savings.values(), reverse=True)


def test_escalations_are_a_lever_where_there_are_any_and_what_is_free_is_none() -> None:
    small = use(name="slm", price=None, flex=None)
    last = use(attempts=Estimate.exact(Decimal("0.5")), price=None, flex=None)
    (lever,) = levers([small, last], Volume(Decimal(1_000), Decimal(1)))
    assert lever.name == "half the escalations"
    assert levers([small], VOLUME) == []
