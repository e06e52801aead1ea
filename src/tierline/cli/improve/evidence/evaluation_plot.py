"""An evaluation as a picture: each tier's quality, and its ratio to the last tier's quality."""

from pathlib import Path

from tierline.base.json_text import JSON
from tierline.cli.shared.png import new_figure, write_png
from tierline.evaluation.recommendation import DEFAULT, SHIP


def save_png(evaluation: JSON, path: Path) -> None:
    """Raises UsageError if the file cannot be written, TierlineError without the extra."""
    result = evaluation["result"]
    figure = new_figure(9, 1.6 + 0.5 * len(result["tiers"]))
    left, right = figure.subplots(1, 2)
    names = [one["tier"] for one in result["tiers"]]
    for row, one in enumerate(result["tiers"]):
        low, high = one["interval"]
        left.plot([low, high], [row, row], color="tab:blue", linewidth=2.5)
        left.plot(one["quality"], row, "o", color="tab:blue", markersize=7)
    left.set_xlabel("share of right answers, with its 95% interval")
    for one in result["compared"]:
        if one["interval"] is None:
            continue
        row = names.index(one["tier"])
        low, high = one["interval"]
        right.plot([low, high], [row, row], color="tab:green", linewidth=2.5)
        right.plot(one["ratio"], row, "o", color="tab:green", markersize=7)
        right.annotate(
            one["verdict"],
            (one["ratio"], row),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
            fontsize=9,
        )
    for ratio, label in ((SHIP, "ship"), (DEFAULT, "default")):
        right.axvline(ratio, color="0.6", linestyle="--", linewidth=1)
        right.annotate(
            f"{label} from {ratio:.0%}",
            (ratio, len(names) - 0.55),
            rotation=90,
            textcoords="offset points",
            xytext=(-9, 0),
            va="top",
            fontsize=7,
            color="0.4",
        )
    right.set_xlabel(f"quality relative to {names[-1]}; the lower bound decides")
    for axes in (left, right):
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(
        f"{evaluation['feature']}: {result['examples']:,} test examples of dataset "
        f"{evaluation['dataset']}",
        fontsize=10,
    )
    write_png(figure, path)
