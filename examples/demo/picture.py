"""What was served, as a picture: one bar a feature."""

from pathlib import Path

from examples.demo.bar import Bar
from tierline.cli.shared.png import new_figure, write_png

RIGHT, RIGHT_LATER, WRONG, NONE_RIGHT, LEFT = "#2e7d32", "#81c784", "#c62828", "#bdbdbd", "#e0e0e0"


def draw(bar: Bar, path: Path) -> None:
    """Write a PNG. Raises TierlineError where matplotlib is missing, or the path is unwritable."""
    figure = new_figure(8, 3.6)
    axes = figure.add_subplot()
    names = [f"{one.feature} ({one.jobs})" for one in bar.features]
    parts = (
        ("right, first tier", RIGHT, [one.right - one.right_after for one in bar.features]),
        ("right, later tier", RIGHT_LATER, [one.right_after for one in bar.features]),
        ("wrong", WRONG, [one.wrong for one in bar.features]),
        ("left: no right answer", NONE_RIGHT, [one.left_rightly for one in bar.features]),
        ("left to a person", LEFT, [one.left - one.left_rightly for one in bar.features]),
    )
    begun = [0] * len(names)
    for label, colour, counts in parts:
        bars = axes.barh(names, counts, left=begun, color=colour, label=label)
        axes.bar_label(bars, [str(n) if n else "" for n in counts], label_type="center")
        begun = [a + b for a, b in zip(begun, counts, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("jobs")
    axes.set_title(f"Of {bar.served} served, {bar.wrong} are wrong", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    write_png(figure, path)
