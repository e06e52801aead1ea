"""`tierline calibrate`: the threshold that keeps a promise, from a feature's own outcomes."""

from typing import Annotated

import typer

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json


def calibrate(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    max_error: Annotated[
        float | None,
        typer.Option(help="Of what the tier serves, the share that may be wrong: 0.03."),
    ] = None,
    confidence: Annotated[float, typer.Option(help="With which that is promised.")] = 0.95,
    models: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Who answered, as --dry-run tells it."),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            metavar="WHO",
            help="Who says what is wrong: model (the later tier) or human (a label sample).",
        ),
    ] = "model",
    tier: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose answers; those of the first calibrated tier."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what outcomes there are; uses none up.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="The calibrations there are, and what became of each.")
    ] = False,
    withdraw: Annotated[
        int | None, typer.Option(metavar="ID", help="End one: what it would serve escalates.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is ended.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Choose how sure a tier must be, so that a stated share of errors is kept.

    Uses the outcomes up: the next calibration needs new ones.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    path = f"/v1/features/{feature}/calibrations"
    if listed or withdraw is not None:
        if max_error is not None or (listed and withdraw is not None):
            raise UsageError("--list, --withdraw or --max-error, one of them")
        if withdraw is not None and not reason:
            raise UsageError("say why, for those who look at it later: --reason TEXT")
        with connect(home) as api:
            if withdraw is None:
                answer = api.get(path)
            else:
                answer = api.post(f"{path}/{withdraw}/withdraw", json={"reason": reason})
        if as_json:
            print_json(answer)
        elif withdraw is None:
            _show_all(answer["data"])
        else:
            line(f"calibration {withdraw} of {feature} is withdrawn: its answers escalate")
        return
    if max_error is None:
        raise UsageError("say what is to be promised, such as --max-error 0.03 (or --list)")
    within("--max-error", max_error, 0.0001, 1.0)
    within("--confidence", confidence, 0.5, 0.9999)
    body: dict[str, JSON] = {"max_error": max_error, "confidence": confidence, "dry_run": dry_run}
    if reference not in ("model", "human"):
        raise UsageError(f"--reference is model or human, not {reference!r}")
    body["reference"] = reference
    if tier is not None:
        body["tier"] = tier
    if models is not None:
        body["models"] = models
    with connect(home) as api:
        made = api.post(path, json=body)
    if as_json:
        print_json(made)
    elif dry_run:
        _show_count(made)
    else:
        show(made)


def within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most or value >= 1.0:
        raise UsageError(f"{name} is {value:g}: it lies between {least:g} and {most:g}")


def _show_count(made: JSON) -> None:
    from tierline.cli.shared.output import print_pairs

    print_pairs(
        [
            ("feature", f"{made['feature']}, tier {made['tier']}"),
            ("answered by", made["models"] or "nobody yet"),
            ("compared with", _compared_with(made)),
            ("new outcomes", made["outcomes"]),
            ("missing", f"{made['missing']} at the very least" if made["missing"] else "none"),
            ("calibration", f"the {_ordinal(made['attempt'])} of these"),
            *([("judge", _judged(made["judge"]))] if made["judge"] else ()),
        ]
    )


def show(made: JSON) -> None:
    """What was promised, on what, and what was seen of each label."""
    from tierline.cli.shared.output import line

    line(_promised(made))
    if made["threshold"] is None:
        line("No threshold keeps it. All of it escalates; a new calibration needs new outcomes.")
    else:
        line(
            f"Calibration {made['id']}: from a score of {made['threshold']:.3f} on it serves "
            f"{made['coverage']:.1%} of {made['samples']:,} outcomes; {made['errors']:,} of "
            f"{made['served']:,} did, so the bound is {made['bound']:.2%}."
        )
    if made["why_not_learned"] is None:
        line(f"The score was learned on {made['fitted']:,} others: {', '.join(made['signals'])}.")
    else:
        line(f"The score is the one signal alone: {made['why_not_learned']}.")
    if made["judge"] is not None:
        line(f"What differs is the word of {_judged(made['judge'])}.")
    line(
        "It holds for traffic like that of these outcomes, for this prompt and these models alone."
    )
    if made["by_label"]:
        line()
        _show_labels(made["by_label"])


def _promised(made: JSON) -> str:
    return (
        f"Of what the tier {made['tier']} of {made['feature']} serves at most "
        f"{made['max_error']:.2%} {_wrong(made)}, at {made['confidence']:.0%} confidence."
    )


def _judged(judge: JSON) -> str:
    return (
        f"{judge['model']}; of {judge['samples']:,} answers that it held to be the same, people "
        f"found {judge['wrong']:,} wrong, so up to {judge['missed']:.1%} are"
    )


def _wrong(made: JSON) -> str:
    """What an error is: without people's labels it is a difference, and never called wrong."""
    if made["reference"] == "human" or made["judge"] is not None:
        return "may be wrong"
    return f"may differ from {', '.join(made['reference_models']) or 'the later tier'}"


def _compared_with(made: JSON) -> str:
    if made["reference"] == "human":
        return "people's labels"
    return ", ".join(made["reference_models"]) or "nothing yet"


def _show_labels(labels: JSON) -> None:
    from tierline.cli.shared.output import Col, print_table

    print_table(
        [Col("ANSWER"), *(Col(title, "right") for title in ("OUTCOMES", "SERVED", "DIFFER"))],
        [(one["label"], one["samples"], one["served"], one["errors"]) for one in labels],
        empty="no label",
    )


def _show_all(found: list[JSON]) -> None:
    from tierline.cli.shared.output import Col, print_table, when

    print_table(
        [
            Col("ID", "right"),
            Col("MADE", wrap=False),
            *(Col("STATE"), Col("PROMISE", "right"), Col("THRESHOLD", "right")),
            *(Col("SERVES", "right"), Col("BOUND", "right"), Col("SHADOWS", "right")),
            Col("ANSWERED BY"),
        ],
        [
            (
                one["id"],
                when(one["created_at"]),
                one["state"].replace("_", " "),
                f"{one['max_error']:.2%} at {one['confidence']:.0%}",
                "" if one["threshold"] is None else f"{one['threshold']:.3f}",
                f"{one['coverage']:.1%}",
                "" if one["bound"] is None else f"{one['bound']:.2%}",
                f"{one['shadow_errors']} of {one['shadow_samples']} differ"
                if one["shadow_samples"]
                else "",
                one["models"],
            )
            for one in found
        ],
        empty="no calibration yet",
    )


def _ordinal(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
