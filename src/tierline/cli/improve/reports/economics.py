"""`tierline economics`: shows a feature's costs at a given volume. The server calculates them."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

USUAL_PEAK = 3  # times the mean of a day: the peak of traffic that follows office hours


def economics(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    per_day: Annotated[str, typer.Option("--requests-per-day", metavar="N")],
    peak: Annotated[
        str | None,
        typer.Option(
            "--peak",
            metavar="N",
            help=f"Requests per second at the peak; by default {USUAL_PEAK} times the mean.",
        ),
    ] = None,
    revenue: Annotated[
        str | None,
        typer.Option(
            "--revenue-per-month", metavar="USD", help="The revenue of the feature's product."
        ),
    ] = None,
    gpu_hour: Annotated[
        str | None,
        typer.Option("--gpu-usd-per-hour", metavar="USD", help="The cost of your own server."),
    ] = None,
    gpu_rate: Annotated[
        str | None,
        typer.Option(
            "--gpu-requests-per-s", metavar="N", help="The measured throughput of your own server."
        ),
    ] = None,
    input_tokens: Annotated[
        str | None,
        typer.Option(metavar="N", help="Input tokens to assume for a tier with few calls so far."),
    ] = None,
    output_tokens: Annotated[
        str | None,
        typer.Option(metavar="N", help="Output tokens to assume for a tier with few calls so far."),
    ] = None,
    escalation_rate: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE", help="The share to assume, such as 0.1; by default as measured."
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw cost against volume to this file.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Compare the costs of the ways to run a feature, with intervals.

    The ways are: frontier only, the present routing, the small model only, and your own machine.
    The costs come from the tokens, escalations and prices of the last 30 days.
    """
    from tierline.cli.shared.amounts import above_zero, share
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json
    from tierline.economics.scenarios import DAY_S

    a_day = above_zero("--requests-per-day", per_day)
    mean = a_day / DAY_S
    at_peak = mean * USUAL_PEAK if peak is None else above_zero("--peak", peak)
    if at_peak * DAY_S < a_day:
        raise UsageError(
            f"--peak is {peak} requests a second, but {per_day} a day are "
            f"{mean:.3g} a second on average: the peak must be at least that"
        )
    if (gpu_hour is None) != (gpu_rate is None):
        raise UsageError("your own machine needs --gpu-usd-per-hour and --gpu-requests-per-s")
    request: dict[str, Decimal] = {"requests_per_day": a_day, "peak_per_s": at_peak}
    for name, option, text in (
        ("revenue_usd_per_month", "--revenue-per-month", revenue),
        ("machine_usd_per_hour", "--gpu-usd-per-hour", gpu_hour),
        ("machine_requests_per_s", "--gpu-requests-per-s", gpu_rate),
        ("input_tokens", "--input-tokens", input_tokens),
        ("output_tokens", "--output-tokens", output_tokens),
    ):
        if text is not None:
            request[name] = above_zero(option, text)
    if escalation_rate is not None:
        request["escalation_rate"] = share("--escalation-rate", escalation_rate)
    params = {
        name: f"{value:.9f}" if name == "peak_per_s" else f"{value:f}"
        for name, value in request.items()
    }
    with connect(home) as api:
        answer = api.get(f"/v1/features/{feature}/economics", params)
    if answer.get("costs") is None:
        raise TierlineError("the API has release 0.1, which does not calculate costs: upgrade it")
    if png is not None:
        from tierline.cli.improve.reports.economics_plot import save_png

        save_png(answer, request, png)
    if as_json:
        print_json({"feature": answer["feature"], **answer["costs"]})
    else:
        _show(answer["feature"], answer["costs"], assumed=peak is None)


def _show(feature: str, costs: JSON, *, assumed: bool) -> None:
    from tierline.cli.shared.output import Col, line, print_table, usd
    from tierline.economics.scenarios import MOST_OF_REVENUE

    line(
        f"{feature} at {Decimal(costs['requests_per_day']):,} requests a day, "
        f"{_rate(Decimal(costs['peak_per_s']))} a second at the peak"
    )
    if assumed:
        line(f"No --peak is given: {USUAL_PEAK} times the mean is assumed.")
    for note in costs["notes"]:
        line(note)
    line()
    scenarios = costs["scenarios"]
    revenue = any(one["share_of_revenue"] is not None for one in scenarios)
    print_table(
        [
            Col("WAY"),
            *(Col(t, "right") for t in ("1,000 REQUESTS", "A DAY", "A MONTH", "95%", "PEAK HOUR")),
            *([Col("SHARE OF REVENUE", "right")] if revenue else []),
        ],
        [
            (
                one["name"] + _replicas(one["replicas"]),
                _usd(Decimal(one["usd_per_request"]["value"]) * 1000),
                *(_usd(one["usd_per_day"]["value"]), _usd(one["usd_per_month"]["value"])),
                _between(one["usd_per_month"]),
                _usd(one["usd_per_peak_hour"]["value"]),
                *([_of_revenue(one)] if revenue else []),
            )
            for one in scenarios
        ],
        empty="",
    )
    if any(one["over_15_percent"] for one in scenarios):
        line(f"! costs more than {MOST_OF_REVENUE:.0%} of the revenue")
    for even in costs["break_evens"]:
        line()
        least = even["requests_per_day"]
        volume = "at no volume" if least is None else f"from {Decimal(least):,.0f} requests a day"
        line(f"{even['kept']} costs no more than {even['paid']} {volume}.")
    if costs["levers"]:
        line()
        line("The largest savings, each change on its own:")
        for lever in costs["levers"]:
            saves = lever["saves_usd_per_month"]
            interval = _between(saves)
            in_brackets = f" ({interval})" if interval else ""
            line(f"  {lever['name']}: {usd(saves['value'])} a month{in_brackets}")


def _rate(per_s: Decimal) -> str:
    """With three digits."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def _replicas(count: int | None) -> str:
    return "" if count is None else f", {count} replica{'s' if count > 1 else ''}"


def _usd(value: str | Decimal) -> str:
    amount = Decimal(value)
    return "$0" if not amount else f"${amount:,.2f}" if amount >= 1 else f"${amount:.3g}"


def _between(estimate: JSON) -> str:
    """The interval; empty if the value is exact."""
    if estimate["low"] == estimate["high"]:
        return ""
    return f"{_usd(estimate['low'])}-{_usd(estimate['high'])}"


def _of_revenue(one: JSON) -> str:
    if one["share_of_revenue"] is None:
        return ""
    share = Decimal(one["share_of_revenue"]["value"])
    return ("! " if one["over_15_percent"] else "") + f"{share:.1%}"
