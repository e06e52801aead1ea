"""Draws cost against volume, with a line for each way to run a feature."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from tierline.base.json_text import JSON
from tierline.cli.shared.png import new_figure, write_png
from tierline.economics.estimates import Estimate
from tierline.economics.scenarios import Machine, Volume, Way, scenario

SPAN = 2.0  # powers of ten on each side of the volume
POINTS = 400


def save_png(answer: JSON, request: Mapping[str, Decimal], path: Path) -> None:
    """Draw the plot to `path`. `answer`: the API's economics; `request`: its parameters.
    Raises UsageError if the file cannot be written, TierlineError without the extra.
    """
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    volume = Volume(request["requests_per_day"], request["peak_per_s"])
    volumes = [
        volume.per_day * Decimal(10) ** Decimal(repr(-SPAN + 2 * SPAN * step / (POINTS - 1)))
        for step in range(POINTS)
    ]
    for way_json in answer["costs"]["scenarios"]:
        way = _way(way_json, request)
        costs = [scenario(way, volume.scaled_to(one)).per_month for one in volumes]
        if not costs[-1].value:
            continue  # it is free at any volume, and a logarithmic axis cannot show 0
        across = [float(one) for one in volumes]
        (plotted,) = axes.plot(
            across, [float(one.value) for one in costs], label=way.name, linewidth=2
        )
        axes.fill_between(
            across,
            [float(one.low) for one in costs],
            [float(one.high) for one in costs],
            color=plotted.get_color(),
            alpha=0.2,
            linewidth=0,
        )
    axes.axvline(float(volume.per_day), color="0.6", linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("requests per day (dashed: the given volume)")
    axes.set_ylabel("USD per month")
    axes.set_title(f"{answer['feature']}: cost against volume, with 95% intervals", fontsize=10)
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.legend(fontsize=9)
    write_png(figure, path)


def _way(way_json: JSON, request: Mapping[str, Decimal]) -> Way:
    """A way with a fixed cost for each request, or for each replica."""
    if way_json["replicas"] is None:
        cost = way_json["usd_per_request"]
        paid = Estimate(Decimal(cost["value"]), Decimal(cost["low"]), Decimal(cost["high"]))
        return Way(way_json["name"], paid)
    machine = Machine(request["machine_usd_per_hour"], request["machine_requests_per_s"])
    return Way(way_json["name"], Estimate.exact(Decimal(0)), machine)
