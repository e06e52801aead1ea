"""Cost against volume, a line for each way of running a feature."""

from decimal import Decimal
from pathlib import Path

from tierline.cli.improve.economics_reckoning import EconomicsResult
from tierline.cli.shared.png import new_figure, write_png
from tierline.economics.scenarios import scenario

SPAN = 2.0  # powers of ten to either side of the volume
POINTS = 400


def save_png(found: EconomicsResult, path: Path) -> None:
    """Raises UsageError where it cannot be written, TierlineError without the extra."""
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    volumes = [
        found.volume.per_day * Decimal(10) ** Decimal(repr(-SPAN + 2 * SPAN * step / (POINTS - 1)))
        for step in range(POINTS)
    ]
    for way in found.ways:
        at = [scenario(way, found.volume.scaled_to(volume)).per_month for volume in volumes]
        if not at[-1].value:
            continue  # nothing, at any volume: a logarithm has no place for it
        across = [float(volume) for volume in volumes]
        (drawn,) = axes.plot(across, [float(one.value) for one in at], label=way.name, linewidth=2)
        axes.fill_between(
            across,
            [float(one.low) for one in at],
            [float(one.high) for one in at],
            color=drawn.get_color(),
            alpha=0.2,
            linewidth=0,
        )
    axes.axvline(float(found.volume.per_day), color="0.6", linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("requests a day (dashed: as said)")
    axes.set_ylabel("USD a month")
    axes.set_title(f"{found.feature}: cost against volume, with 95% intervals", fontsize=10)
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.legend(fontsize=9)
    write_png(figure, path)
