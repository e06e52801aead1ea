"""`tierline replay`: runs recorded outcomes through the routing, without calling a model."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Json
from tierline.features.comparison import Comparison, Kind

if TYPE_CHECKING:
    from tierline.routing.replay.paired import Difference
    from tierline.routing.replay.policies import Policy
    from tierline.routing.replay.replay import Replay

FEWEST = 50  # rows; with fewer, a half of a fold may not have both right and wrong answers


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, see docs/routing.md.")],
    max_error: Annotated[
        float,
        typer.Option(help="The largest share of the weak tier's served answers that may be wrong."),
    ] = 0.03,
    confidence: Annotated[float, typer.Option(help="The confidence of that promise.")] = 0.95,
    compare: Annotated[
        str, typer.Option(help="How to compare answers: exact, normalised, numeric or set.")
    ] = "normalised",
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="With --compare numeric: the largest allowed difference."),
    ] = None,
    right_from: Annotated[
        float, typer.Option(help="The lowest score of an answer that counts as right.")
    ] = 1.0,
    weak_usd_per_mtok: Annotated[
        float | None,
        typer.Option(min=0, help="The weak tier's price, if the file has tokens but no costs."),
    ] = None,
    strong_usd_per_mtok: Annotated[float | None, typer.Option(min=0)] = None,
    share: Annotated[
        float | None,
        typer.Option(
            help="Compare at this share sent to the strong tier, instead of the promise's."
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="Also show the cost of this share of the strong tier's quality."),
    ] = None,
    embeddings: Annotated[
        bool, typer.Option(help="Use the meaning of prompts, not only their words.")
    ] = True,
    seed: Annotated[
        int, typer.Option(min=0, help="The seed for splitting the rows into folds.")
    ] = 0,
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the cost-quality curve to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the cost and quality of routing policies on recorded outcomes of both tiers."""
    _between("--max-error", max_error)
    _between("--confidence", confidence)
    if share is not None and not 0.0 <= share <= 1.0:
        raise UsageError(f"--share is {share:g}: it must be between 0 and 1")
    if keep is not None and not 0.0 < keep <= 1.0:
        raise UsageError(f"--keep is {keep:g}: it must be above 0 and at most 1")
    if not 0.0 < right_from <= 1.0:
        raise UsageError(f"--right-from is {right_from:g}: it must be above 0 and at most 1")
    if compare not in get_args(Kind) or compare == "fields":
        raise UsageError(f"--compare is {compare!r}: give exact, normalised, numeric or set")
    from tierline.cli.improve.reports.recorded_outcomes import Measure, read_recorded
    from tierline.cli.shared.bar import Bar
    from tierline.cli.shared.output import console, line, print_json

    prices = {"weak": weak_usd_per_mtok, "strong": strong_usd_per_mtok}
    measure = Measure(Comparison(compare, tolerance), right_from, prices)  # type: ignore[arg-type]
    recorded = read_recorded(file, measure)
    if len(recorded) < FEWEST:
        raise UsageError(f"{file} has {len(recorded)} rows: at least {FEWEST} are needed")
    try:
        from tierline.cli.improve.training.embedding import embedded
        from tierline.routing.replay.replay import KEPT
        from tierline.routing.replay.replay import replay as run
        from tierline.routing.thresholds.combination import CannotLearn

        vectors = embedded([one.prompt for one in recorded]) if embeddings else None
        with Bar(0, "replaying") as bar:
            result = run(
                recorded,
                max_error=max_error,
                confidence=confidence,
                embeddings=vectors,
                share=share,
                kept=sorted({*KEPT, *(() if keep is None else (keep,))}),
                seed=seed,
                progress=lambda done, of: bar.turn_to("fitting and testing", done, of),
            )
    except ImportError as missing:
        raise TierlineError(
            f"replay needs the extra `routing` ({missing.name} is missing): run 'make setup'"
        ) from None
    except CannotLearn as error:
        raise UsageError(f"{file}: {error}") from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None
    if png is not None:
        from tierline.cli.improve.training.curve_plot import save_png

        save_png(result, png)
    if as_json:
        print_json(as_json_of(result, max_error, confidence))
        return
    show(result, max_error, confidence)
    from tierline.cli.improve.training.curve_plot import terminal_curve

    line()
    line(terminal_curve(result, min(console().width, 100)))
    if png is not None:
        line(f"\nthe curve with every policy: {png}")


def _between(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise UsageError(f"{name} is {value:g}: it must be between 0 and 1")


def show(result: "Replay", max_error: float, confidence: float) -> None:
    """Print the table of policies, and the promise that each policy can keep."""
    from tierline.cli.shared.output import Col, line, print_table

    by_name = {policy.name: policy for policy in result.policies}
    full = result.strong_only.cost
    span = by_name["oracle"].area - by_name["random"].area
    line(f"{result.count:,} requests; {_shared(result)}")
    line()
    print_table(
        [
            Col("POLICY", wrap=False),
            *(
                Col(title, "right")
                for title in (
                    *("STRONG", "COST/1000", "QUALITY", "95%", "GAIN"),
                    *(f"FOR {kept:.3g}%" for kept in (100 * one for one in result.kept)),
                )
            ),
        ],
        [
            (
                policy.name,
                f"{policy.at.escalated:.1%}",
                f"${policy.at.cost * 1000:.4g}",
                f"{policy.at.quality:.1%}",
                "{:.1%}-{:.1%}".format(*policy.quality_interval),
                ""
                if policy.name in ("weak only", "strong only") or span <= 0
                else f"{(policy.area - by_name['random'].area) / span:.0%}",
                *(
                    f"{cost / full:.0%}" if math.isfinite(cost) else "never"
                    for cost in policy.cost_for
                ),
            )
            for policy in result.policies
        ],
        empty="no policy",
    )
    line("STRONG: share sent to the strong tier, the same in all rows but the first two. COST in")
    line(
        "USD; 95%: the interval of QUALITY. GAIN: area under the curve; 0% is random, 100% oracle."
    )
    line("FOR 95%: the least cost of 95% of the strong tier's quality, as a share of its cost.")
    line("Fitted and tested on different rows.")
    line()
    _show_paired(by_name["gain"])
    for policy in result.policies:
        if policy.promised is not None:
            line(_promise(policy, result, max_error, confidence))
    if result.main is None:
        line("Nothing can be promised with these outcomes: no policy may let the weak tier serve.")


def _show_paired(policy: "Policy") -> None:
    """Print, for each share sent to the strong tier, what the policy has over length and a coin."""
    from tierline.cli.shared.output import Col, line, print_table

    if policy.paired is None:
        line("The strong tier is no better than the weak one on these requests.")
        line()
        return
    paired = policy.paired
    line(f"{policy.name}: quality over prompt length and over a coin, in points (95%, paired)")
    print_table(
        [Col("STRONG", "right"), Col("OVER LENGTH", "right"), Col("OVER A COIN", "right")],
        [(f"{one.rate:.0%}", _points(one.length), _points(one.random)) for one in paired.rates],
        empty="no rate",
    )
    verdict = "better than" if paired.over_length.low > 0 else "not shown to be better than"
    line(
        f"APGR {paired.apgr:.3f} (a coin: 0.5), {_points(paired.over_length)} points over prompt "
        f"length: {verdict} length."
    )
    line()


def _points(one: "Difference") -> str:
    return f"{100 * one.mean:+.1f} ({100 * one.low:+.1f} to {100 * one.high:+.1f})"


def _shared(result: "Replay") -> str:
    """What set the share that the table compares at."""
    if result.escalated_by == "promise":
        return f"{result.main} keeps the promise at the least cost, and its share is compared"
    if result.escalated_by == "caller":
        return f"compared with {result.escalated:.1%} sent to the strong tier"
    return (
        f"nothing can be promised, so {result.escalated:.0%} sent to the strong tier is compared; "
        "--share sets another"
    )


def _promise(policy: "Policy", result: "Replay", max_error: float, confidence: float) -> str:
    promised = policy.promised
    assert promised is not None
    limit = f"{policy.name}: at most {max_error:.2%} wrong, at {confidence:.0%}"
    bounds = promised.error_interval(confidence)
    if bounds is None:
        if promised.missing is not None:
            return f"{limit}: not enough data, {promised.missing} more served answers are needed"
        return f"{limit}: nothing can be promised, no threshold keeps this"
    return (
        f"{limit} → serves {promised.served / result.count:.1%} and costs "
        f"{promised.cost / result.strong_only.cost:.0%} of strong only, "
        f"{promised.errors / promised.served:.2%} of {promised.served:,} were wrong "
        f"({bounds[0]:.2%}-{bounds[1]:.2%})"
    )


def as_json_of(result: "Replay", max_error: float, confidence: float) -> JSON:
    """The same result as JSON."""
    return {
        "requests": result.count,
        "main": result.main,
        "escalated": result.escalated,
        "escalated_by": result.escalated_by,
        "max_error": max_error,
        "confidence": confidence,
        "policies": [_policy_json(policy, result.kept) for policy in result.policies],
    }


def _policy_json(policy: "Policy", kept: Sequence[float]) -> JSON:
    values: dict[str, JSON] = {
        "policy": policy.name,
        "escalated": policy.at.escalated,
        "cost_usd": policy.at.cost,
        "quality": policy.at.quality,
        "quality_95": list(policy.quality_interval),
        "area": policy.area,
        "cost_usd_for": [
            {"quality": share, "cost_usd": cost if math.isfinite(cost) else None}
            for share, cost in zip(kept, policy.cost_for, strict=True)
        ],
    }
    if policy.paired is not None:
        values["apgr"] = policy.paired.apgr
        values["apgr_over_length"] = _difference_json(policy.paired.over_length)
        values["rates"] = [
            {
                "escalated": one.rate,
                "over_length": _difference_json(one.length),
                "over_random": _difference_json(one.random),
            }
            for one in policy.paired.rates
        ]
    if policy.promised is not None:
        values["promised"] = {
            "served": policy.promised.served,
            "errors": policy.promised.errors,
            "thresholds": list(policy.promised.thresholds),
            "missing": policy.promised.missing,
            "cost_usd": policy.promised.cost,
        }
    return values


def _difference_json(one: "Difference") -> JSON:
    return {"mean": one.mean, "low": one.low, "high": one.high}
