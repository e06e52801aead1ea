"""`tierline economics`: what a feature costs at a volume, one way or another."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.improve.economics_reckoning import EconomicsResult
    from tierline.economics.scenarios import Scenario


def economics(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    per_day: Annotated[str, typer.Option("--requests-per-day", metavar="N")],
    peak: Annotated[
        str, typer.Option("--peak", metavar="N", help="Requests a second at the busiest.")
    ],
    revenue: Annotated[
        str | None,
        typer.Option("--revenue-per-month", metavar="USD", help="Of what the feature is part of."),
    ] = None,
    gpu_hour: Annotated[
        str | None,
        typer.Option("--gpu-usd-per-hour", metavar="USD", help="A server of your own."),
    ] = None,
    gpu_rate: Annotated[
        str | None,
        typer.Option("--gpu-requests-per-s", metavar="N", help="… and what it answers, measured."),
    ] = None,
    input_tokens: Annotated[
        str | None, typer.Option(metavar="N", help="Assumed, of a tier that was hardly asked yet.")
    ] = None,
    output_tokens: Annotated[str | None, typer.Option(metavar="N", help="… and these.")] = None,
    escalation_rate: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Assumed: 0.1. Else as measured.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw cost against volume there.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Frontier only, as routed now, the small model only, on a machine of your own: with intervals,
    from the last 30 days' tokens, escalations and prices.
    """
    from tierline.cli.improve.economics_reckoning import Assumed, reckon
    from tierline.cli.shared.amounts import above_zero, share
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json
    from tierline.economics.scenarios import DAY_S, Machine, Volume

    a_day = above_zero("--requests-per-day", per_day)
    volume = Volume(a_day, above_zero("--peak", peak))
    if volume.peak_per_s * DAY_S < volume.per_day:
        raise UsageError(
            f"--peak is {peak} requests a second, and {per_day} a day are "
            f"{volume.per_day / DAY_S:.3g} a second on average: the peak is at least that"
        )
    if (gpu_hour is None) != (gpu_rate is None):
        raise UsageError("a machine of your own needs --gpu-usd-per-hour and --gpu-requests-per-s")
    machine = None
    if gpu_hour is not None and gpu_rate is not None:
        machine = Machine(
            above_zero("--gpu-usd-per-hour", gpu_hour), above_zero("--gpu-requests-per-s", gpu_rate)
        )
    assumed = Assumed(
        None if input_tokens is None else above_zero("--input-tokens", input_tokens),
        None if output_tokens is None else above_zero("--output-tokens", output_tokens),
        None if escalation_rate is None else share("--escalation-rate", escalation_rate),
    )
    earned = None if revenue is None else above_zero("--revenue-per-month", revenue)
    with connect(home) as api:
        shown = api.get(f"/v1/features/{feature}")
        measured = api.get(f"/v1/features/{feature}/economics")
    try:
        found = reckon(shown, measured, assumed, volume, machine, earned)
    except ImportError as missing:
        raise TierlineError(
            f"intervals need the extra `routing` ({missing.name} is missing): run 'make setup'"
        ) from None
    if png is not None:
        from tierline.cli.improve.economics_plot import save_png

        save_png(found, png)
    if as_json:
        print_json(_json(found))
    else:
        _show(found)


def _show(found: "EconomicsResult") -> None:
    from tierline.cli.shared.output import Col, line, print_table, usd
    from tierline.economics.scenarios import MOST_OF_REVENUE

    line(
        f"{found.feature} at {found.volume.per_day:,} requests a day, "
        f"{found.volume.peak_per_s:g} a second at the peak"
    )
    for note in found.notes:
        line(note)
    line()
    revenue = any(one.of_revenue is not None for one in found.scenarios)
    print_table(
        [
            Col("WAY"),
            *(Col(t, "right") for t in ("1,000 REQUESTS", "A DAY", "A MONTH", "95%", "PEAK HOUR")),
            *([Col("OF REVENUE", "right")] if revenue else []),
        ],
        [
            (
                one.name + _replicas(one.replicas),
                _usd(one.per_request.value * 1000),
                *(_usd(one.per_day.value), _usd(one.per_month.value)),
                "" if one.per_month.low == one.per_month.high else _between(one.per_month),
                _usd(one.at_peak_per_hour.value),
                *([_of_revenue(one)] if revenue else []),
            )
            for one in found.scenarios
        ],
        empty="",
    )
    if any(one.too_dear for one in found.scenarios):
        line(f"! takes more than {MOST_OF_REVENUE:.0%} of the revenue")
    for even in found.break_evens:
        line()
        at = "at no volume" if even.per_day is None else f"from {even.per_day:,.0f} requests a day"
        line(f"{even.kept} costs no more than {even.paid} {at}.")
    if found.levers:
        line()
        line("What would save most, each by itself:")
        for lever in found.levers:
            saves = lever.saves_per_month
            told = f" ({_between(saves)})" if saves.low != saves.high else ""
            line(f"  {lever.name}: {usd(saves.value)} a month{told}")


def _replicas(count: int | None) -> str:
    return "" if count is None else f", {count} replica{'s' if count > 1 else ''}"


def _usd(amount: Decimal) -> str:
    return "$0" if not amount else f"${amount:,.2f}" if amount >= 1 else f"${amount:.3g}"


def _between(estimate: object) -> str:
    from tierline.economics.estimates import Estimate

    assert isinstance(estimate, Estimate)
    return f"{_usd(estimate.low)}-{_usd(estimate.high)}"


def _of_revenue(one: "Scenario") -> str:
    if one.of_revenue is None:
        return ""
    return ("! " if one.too_dear else "") + f"{one.of_revenue.value:.1%}"


def _json(found: "EconomicsResult") -> JSON:
    from tierline.base.formats import usd

    def told(estimate: object) -> JSON:
        from tierline.economics.estimates import Estimate

        if not isinstance(estimate, Estimate):
            return None
        rounded = (
            one.quantize(Decimal("1e-12")) for one in (estimate.value, estimate.low, estimate.high)
        )
        value, low, high = (usd(one) for one in rounded)
        return {"value": value, "low": low, "high": high}

    return {
        "feature": found.feature,
        "requests_per_day": usd(found.volume.per_day),
        "peak_per_s": usd(found.volume.peak_per_s),
        "notes": found.notes,
        "scenarios": [
            {
                "name": one.name,
                "usd_per_request": told(one.per_request),
                "usd_per_day": told(one.per_day),
                "usd_per_month": told(one.per_month),
                "usd_per_peak_hour": told(one.at_peak_per_hour),
                "replicas": one.replicas,
                "share_of_revenue": told(one.of_revenue),
                "over_15_percent": one.too_dear,
            }
            for one in found.scenarios
        ],
        "break_evens": [
            {
                "kept": one.kept,
                "paid": one.paid,
                "requests_per_day": None if one.per_day is None else usd(round(one.per_day, 3)),
            }
            for one in found.break_evens
        ],
        "levers": [
            {"name": one.name, "saves_usd_per_month": told(one.saves_per_month)}
            for one in found.levers
        ],
    }
