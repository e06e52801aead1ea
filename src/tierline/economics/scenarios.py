"""Ways to run a feature at a volume, what each costs, and at which volumes they break even."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tierline.economics.estimates import Estimate
from tierline.pricing.price import HOUR_S

DAYS_A_MONTH = Decimal("30.4375")  # 365.25 / 12
HOURS_A_DAY = Decimal(24)
DAY_S = Decimal(86_400)
MOST_OF_REVENUE = Decimal("0.15")  # the share of a product's revenue that model costs may take
MOST_REPLICAS = 100_000


@dataclass(frozen=True)
class Volume:
    """The number of requests."""

    per_day: Decimal  # requests
    peak_per_s: Decimal  # requests a second at the busiest time; at least the mean

    def scaled_to(self, per_day: Decimal) -> "Volume":
        """Another volume with the same ratio of peak to mean."""
        return Volume(per_day, self.peak_per_s * per_day / self.per_day)


@dataclass(frozen=True)
class Machine:
    """One replica of a self-hosted server."""

    usd_per_hour: Decimal
    requests_per_s: Decimal  # measured capacity

    def replicas(self, volume: Volume) -> int:
        """How many replicas the peak needs."""
        return max(1, math.ceil(volume.peak_per_s / self.requests_per_s))


@dataclass(frozen=True)
class Way:
    """One way to run a feature: paid per request, on a machine, or both."""

    name: str
    per_request: Estimate  # the part that is paid per request
    machine: Machine | None = None  # None: no machine


@dataclass(frozen=True)
class Scenario:
    """What a way costs at a volume, in USD."""

    name: str
    per_request: Estimate
    per_day: Estimate
    per_month: Estimate
    at_peak_per_hour: Estimate
    replicas: int | None  # None: no machine
    of_revenue: Estimate | None  # share of a month's revenue; None: the revenue is unknown

    @property
    def too_expensive(self) -> bool | None:
        """Whether it takes more of the revenue than it should; None: unknown."""
        return None if self.of_revenue is None else self.of_revenue.value > MOST_OF_REVENUE


def scenario(way: Way, volume: Volume, revenue: Decimal | None = None) -> Scenario:
    """`revenue`: USD a month."""
    replicas = None if way.machine is None else way.machine.replicas(volume)
    fixed = Decimal(0)
    if way.machine is not None and replicas is not None:
        fixed = replicas * way.machine.usd_per_hour
    kept = Estimate.exact(fixed * HOURS_A_DAY)
    per_day = way.per_request.scaled(volume.per_day).plus(kept)
    per_month = per_day.scaled(DAYS_A_MONTH)
    peak = way.per_request.scaled(volume.peak_per_s * HOUR_S).plus(Estimate.exact(fixed))
    return Scenario(
        name=way.name,
        per_request=per_day.scaled(1 / volume.per_day),
        per_day=per_day,
        per_month=per_month,
        at_peak_per_hour=peak,
        replicas=replicas,
        of_revenue=None if revenue is None else per_month.scaled(1 / revenue),
    )


@dataclass(frozen=True)
class BreakEven:
    """The number of requests a day from which `kept` costs no more than `paid`."""

    kept: str
    paid: str
    per_day: Decimal | None  # None: at no volume


def break_evens(ways: Sequence[Way], volume: Volume) -> list[BreakEven]:
    """For each way with a machine against each one without; the peak grows with the volume."""
    return [
        BreakEven(kept.name, paid.name, _from(kept, paid, volume))
        for kept in ways
        if kept.machine is not None
        for paid in ways
        if paid.machine is None
    ]


def _from(kept: Way, paid: Way, volume: Volume) -> Decimal | None:
    """The lowest volume at which the needed replicas cost no more than the requests."""
    assert kept.machine is not None
    saved = paid.per_request.value - kept.per_request.value
    if saved <= 0:
        return None
    a_day = kept.machine.usd_per_hour * HOURS_A_DAY
    most_a_day = kept.machine.requests_per_s * volume.per_day / volume.peak_per_s
    if a_day > saved * most_a_day:
        # Even a replica with full load at the peak costs more than its requests do elsewhere.
        return None
    for replicas in range(1, MOST_REPLICAS):
        per_day = replicas * a_day / saved
        if kept.machine.replicas(volume.scaled_to(per_day)) <= replicas:
            return per_day
    return None
