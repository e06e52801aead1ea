"""`tierline drift`: shows whether a feature's traffic has changed since its evidence was made."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

ALARM = 20.0  # evidence of change (`money` in the API) that raises an alarm: 1 / 5%


def drift(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the days and the figures to this file.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what changed since the feature's evidence was made, with examples of new inputs.

    The workers compare the traffic once a day. Exit code 3 if there is an alarm.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    with connect(home) as api:
        report = api.get(f"/v1/features/{feature}/drift")
    if png is not None:
        _draw(report, png)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report["drifted"]:
        raise typer.Exit(3)


def _show(report: JSON) -> None:
    from tierline.cli.shared.output import Col, line, one_line, print_pairs, print_table, when

    looks = report["looks"]
    reference = report["reference"]
    print_pairs(
        [
            ("feature", report["feature"]),
            ("evidence", _evidence(report)),
            ("compared with", _reference(reference)),
            ("days", len(looks)),
            ("newest", None if not looks else when(looks[0]["at"])),
            ("verdict", _verdict(report)),
            *([("waits for", report["waits_for"])] if report["waits_for"] else []),
        ]
    )
    if not looks:
        return
    line()
    print_table(
        [Col("FIGURE"), *(Col(title, "right") for title in ("MEAN", "UNCHANGED BETWEEN"))],
        [
            (
                _mark(one) + one["name"],
                f"{one['mean']:.3f}",
                f"{one['least']:.3f}-{one['most']:.3f}",
            )
            for one in report["figures"]
            if not one["name"].startswith("label ") or _outside(one)
        ],
        empty="no figure",
    )
    if report["examples"]:
        line()
        line("Inputs of the newest day that are unlike earlier ones, the most different first:")
        for one in report["examples"][:5]:
            line(f"  {one['job_id']}  {one_line(json.dumps(one['input'], ensure_ascii=False), 90)}")


def _reference(reference: JSON) -> str:
    if reference is None:
        return "nothing yet"
    if reference.get("dataset") is not None:
        return (
            f"{reference['inputs']:,} rows of dataset {reference['dataset']}, which "
            f"{reference['evidence']} was made from"
        )
    return f"{reference['inputs']:,} inputs from before {reference['evidence']}"


def _evidence(report: JSON) -> str:
    from tierline.cli.shared.output import when

    if report["evidence"] is None:
        return "none: calibrate, promote, or train a router"
    due = f", older than {report['refresh_days']} days: refresh it" if report["refresh_due"] else ""
    return f"{report['evidence']}, from {when(report['evidence_at'])}{due}"


def _verdict(report: JSON) -> str | None:
    if not report["looks"]:
        return None
    money = report["looks"][0]["money"]
    if report["drifted"]:
        return f"drifted: {', '.join(report['moved'])} (evidence of change {money:.3g})"
    return f"no change found (evidence of change {money:.2g}; {ALARM:.0f} raises an alarm)"


def _outside(figure: JSON) -> bool:
    return not figure["least"] <= figure["mean"] <= figure["most"]


def _mark(figure: JSON) -> str:
    return "! " if _outside(figure) else "  "


def _draw(report: JSON, path: Path) -> None:
    from tierline.cli.shared.png import new_figure, write_png

    figure = new_figure(9, 5)
    money, means = figure.subplots(1, 2)
    looks = report["looks"][::-1]
    money.plot(
        [one["number"] for one in looks],
        [max(one["money"], 1e-3) for one in looks],
        marker="o",
        markersize=3,
    )
    money.axhline(ALARM, color="tab:red", linewidth=1, label="alarm")
    money.set_yscale("log")
    money.set_xlabel("day")
    money.xaxis.get_major_locator().set_params(integer=True)
    money.set_ylabel("evidence of change")
    money.legend(loc="upper left", fontsize=9)
    money.grid(alpha=0.3)
    shown = sorted(report["figures"], key=lambda one: (not _outside(one), one["name"]))[:20][::-1]
    for row, one in enumerate(shown):
        color = "tab:red" if _outside(one) else "tab:blue"
        means.plot([one["least"], one["most"]], [row, row], color="0.6", linewidth=5, alpha=0.6)
        means.plot([one["mean"]], [row], "o", color=color, markersize=6)
    means.set_yticks(range(len(shown)), [one["name"] for one in shown], fontsize=8)
    means.set_xlabel("mean of the newest day\ngrey: range without change")
    means.grid(alpha=0.3, axis="x")
    figure.suptitle(f"{report['feature']}: {_verdict(report) or 'no day yet'}", fontsize=10)
    write_png(figure, path)
