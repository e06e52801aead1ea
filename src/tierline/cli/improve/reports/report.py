"""`tierline report`: shows the savings of a feature's routing, and the quality it kept."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client
    from tierline.routing.replay.replay import Replay

PAGE = 1_000  # outcomes; the API's maximum per page
MOST = 20_000  # outcomes in one curve; the newest are used
FEWEST = 50  # outcomes in a curve; with fewer, a fold may not have both right and wrong answers


def report(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Only jobs submitted at or after this time; by default 30 days ago.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Only jobs submitted before this time."),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines", help="Compare with prompt length, TF-IDF, neighbours and the oracle."
        ),
    ] = False,
    max_error: Annotated[
        float, typer.Option(help="With --baselines: the error limit at which they are compared.")
    ] = 0.03,
    confidence: Annotated[
        float, typer.Option(help="With --baselines: the confidence of the error limit.")
    ] = 0.95,
    png: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG", help="With --baselines: draw the cost-quality curve to this file."
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show a feature's costs compared with its last tier alone, its escalations and its quality."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    for name, value in (("--max-error", max_error), ("--confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise UsageError(f"{name} is {value:g}: it must be between 0 and 1")
    if png is not None and not baselines:
        raise UsageError("--png needs --baselines: it draws their curves")
    window = {k: v for k, v in (("from", since), ("to", until)) if v is not None}
    with connect(home) as api:
        answer = api.get(f"/v1/features/{feature}/report", params=window)
        rows = _outcomes(api, feature, window) if baselines else []
    replayed = _replayed(rows, max_error, confidence) if baselines else None
    if png is not None and replayed is not None:
        from tierline.cli.improve.training.curve_plot import save_png

        save_png(replayed, png)
    if as_json:
        from tierline.cli.improve.reports.replay import as_json_of

        more = {"baselines": as_json_of(replayed, max_error, confidence)} if replayed else {}
        print_json(answer | more)
        return
    _show(answer)
    if replayed is not None:
        _show_curve(replayed, max_error, confidence, png)


def _outcomes(api: "Client", feature: str, window: dict[str, str]) -> list[JSON]:
    outcomes: list[JSON] = []
    cursor: str | None = None
    while len(outcomes) < MOST:
        params = {**window, "limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        page = api.get(f"/v1/features/{feature}/outcomes", params=params)
        outcomes += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return outcomes


class _Sampled(NamedTuple):
    job_id: str
    inclusion: float  # the probability with which it was sampled
    row: JSON


def _replayed(rows: list[JSON], max_error: float, confidence: float) -> "Replay":
    """Replay the compared outcomes, like recorded ones. Raises TierlineError."""
    try:
        from tierline.features.prompts import input_text
        from tierline.routing.replay.curves import Outcome
        from tierline.routing.replay.replay import Recorded, replay
        from tierline.routing.thresholds.combination import CannotLearn
        from tierline.routing.thresholds.sampling import equally_drawn

        sampled = [_Sampled(row["job_id"], row["inclusion"], row) for row in rows]
        recorded = [
            Recorded(
                row["job_id"],
                "" if row["input"] is None else input_text(row["input"]),
                Outcome(
                    0.0 if row["differs"] else 1.0,
                    1.0,
                    float(Decimal(row["first_usd"])),
                    float(Decimal(row["later_usd"])),
                ),
                row["differs"],
                row["signals"],
            )
            for row in (sample.row for sample in equally_drawn(sampled))
            if row["first_usd"] is not None and row["later_usd"] is not None
        ]
        if len(recorded) < FEWEST:
            raise TierlineError(
                f"a curve needs {FEWEST} compared outcomes of known cost, and there are "
                f"{len(recorded)}: set 'threshold: calibrated' or 'shadow' to get outcomes"
            )
        return replay(recorded, max_error=max_error, confidence=confidence)
    except ImportError as missing:
        raise TierlineError(
            f"--baselines needs the extra `routing` ({missing.name} is missing): run 'make setup'"
        ) from None
    except CannotLearn as error:
        raise TierlineError(f"no curve can be drawn: {error}") from None
    except ValueError as error:
        raise TierlineError(f"no curve can be drawn: {error}") from None


def _show(report: JSON) -> None:
    from tierline.cli.improve.evidence.status import watched
    from tierline.cli.shared.output import Col, line, print_pairs, print_table, seconds, usd, when

    print_pairs(
        [
            ("feature", report["feature"]),
            ("submitted", f"{when(report['from'])} to {when(report['to'])}"),
            (
                "jobs",
                f"{report['jobs']:,}: {report['completed']:,} completed, "
                f"{report['failed']:,} failed"
                + (f", {report['unverified']:,} unverified" if report["unverified"] else ""),
            ),
            ("cost", _cost(report)),
            (f"{report['last_tier']} alone", _alone(report)),
            ("saved", _saved(report)),
            ("shadows", f"{usd(report['shadow_cost_usd'])}, not counted above"),
            *(
                [("judge", f"{usd(report['judge_cost_usd'])}, not counted above")]
                if report["quality"]["judge"] is not None
                else []
            ),
            ("kept", _quality_kept(report)),
            *watched(report.get("watch")),
        ]
    )
    line()
    print_table(
        [
            Col("TIER"),
            *(Col(title, "right") for title in ("CALLED", "SERVED", "COST", "UNKNOWN", "P50")),
        ],
        [
            (
                one["tier"],
                f"{one['jobs']:,}",
                f"{one['served']:,}",
                usd(one["cost_usd"]),
                one["unknown_cost_calls"] or "",
                seconds(one["latency_p50_s"]),
            )
            for one in report["tiers"]
        ],
        empty="no job was attempted",
    )
    if report["escalations"]:
        line()
        print_table(
            [Col("ESCALATION REASON"), Col("JOBS", "right"), Col("SHARE", "right")],
            [
                (one["verdict"], f"{one['jobs']:,}", f"{one['share']:.1%}")
                for one in report["escalations"]
            ],
            empty="nothing escalated",
        )


def _cost(report: JSON) -> str:
    from tierline.cli.shared.output import usd

    unknown = report["unknown_cost_calls"]
    return usd(report["cost_usd"]) + (f", and {unknown:,} calls of unknown cost" if unknown else "")


def _alone(report: JSON) -> str:
    from tierline.cli.shared.output import usd

    alone = report["last_tier_alone_usd"]
    return "unknown: it has no call with a known cost" if alone is None else usd(alone)


def _saved(report: JSON) -> str:
    from tierline.cli.shared.output import usd

    if report["saved_share"] is None:
        return "unknown"
    return f"{report['saved_share']:.1%}, {usd(report['saved_usd'])}"


def _quality_kept(report: JSON) -> str:
    """The share of the first tier's served answers that differ from their shadows, and interval."""
    quality = report["quality"]
    if not quality["served"]:
        return "unknown: no served answer has a shadow to compare with"
    differ, served = quality["served_differ"], quality["served"]
    models = ", ".join(quality["reference_models"])
    text = f"{differ:,} of {served:,} served answers differ from shadows ({differ / served:.1%}"
    try:
        from tierline.routing.thresholds.bounds import interval

        low, high = interval(differ, served)
        text += _interval_text(low, high, quality["judge"])
    except ImportError:
        pass
    return f"{text}), from {models}"


def _interval_text(low: float, high: float, judge: JSON) -> str:
    """The interval. A judge's own error widens it; if that error is unknown, none is shown."""
    if judge is None:
        return f"; 95%: {low:.1%}-{high:.1%}"
    if judge["missed"] is None:
        return f"; judged by {judge['model']}, whose own error is not measured yet"
    from tierline.routing.thresholds.judging import widened

    most = widened(high, judge["missed"])
    return (
        f"; judged by {judge['model']}, which misses up to {judge['missed']:.1%}: at most "
        f"{most:.1%} are wrong"
    )


def _show_curve(replayed: "Replay", max_error: float, confidence: float, png: Path | None) -> None:
    from tierline.cli.improve.reports.replay import show
    from tierline.cli.improve.training.curve_plot import terminal_curve
    from tierline.cli.shared.output import console, line

    line()
    line("The compared outcomes, replayed with each routing policy. Quality is agreement with the")
    line("later tier, which always agrees with itself:")
    line()
    show(replayed, max_error, confidence)
    line()
    line(terminal_curve(replayed, min(console().width, 100)))
    if png is not None:
        line(f"\nthe curve with every policy: {png}")
