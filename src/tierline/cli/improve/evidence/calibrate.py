"""`tierline calibrate`: finds the threshold that keeps a promise, from a feature's own outcomes."""

from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

LIKELY = 0.9  # a search with a lower chance of success asks first


def calibrate(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    max_error: Annotated[
        float | None,
        typer.Option(help="The largest share of the tier's served answers that may be wrong: 0.03"),
    ] = None,
    confidence: Annotated[float, typer.Option(help="The confidence of that promise.")] = 0.95,
    models: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only answers by these models, as --dry-run shows them."),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            metavar="WHO",
            help="Who decides what is wrong: model (the later tier) or human (a label sample).",
        ),
    ] = "model",
    tier: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The tier; by default the first calibrated one."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show which outcomes exist; use none up.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List the calibrations and their states.")
    ] = False,
    withdraw: Annotated[
        int | None,
        typer.Option(metavar="ID", help="Withdraw a calibration; its answers then escalate."),
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is withdrawn.")] = None,
    follow: Annotated[
        int | None, typer.Option("--follow", metavar="ID", min=1, help="Wait for a running search.")
    ] = None,
    cancel: Annotated[
        int | None,
        typer.Option("--cancel", metavar="ID", min=1, help="Cancel a search; no outcome is used."),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Search without asking, even if success is unlikely."),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Choose a tier's confidence threshold so that its share of errors stays below a limit.

    The server runs the search; Ctrl-C ends only the waiting. A calibration uses its outcomes up, so
    the next one needs new outcomes. If its chance of success is below 90%, it asks first.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    path = f"/v1/features/{feature}/calibrations"
    searches = f"/v1/features/{feature}/threshold-searches"
    if follow is not None or cancel is not None:
        if max_error is not None or listed or withdraw is not None or None not in (follow, cancel):
            raise UsageError("give --follow ID or --cancel ID alone, without other options")
        with connect(home) as api:
            if follow is not None:
                _show_made(_followed(api, api.get(f"{searches}/{follow}")), as_json=as_json)
            else:
                _show_cancelled(api.post(f"{searches}/{cancel}/cancel"))
        return
    if listed or withdraw is not None:
        if max_error is not None or (listed and withdraw is not None):
            raise UsageError("give only one of --list, --withdraw and --max-error")
        if withdraw is not None and not reason:
            raise UsageError("--withdraw needs a reason, which is recorded: --reason TEXT")
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
            line(f"calibration {withdraw} of {feature} is withdrawn: its answers now escalate")
        return
    if max_error is None:
        raise UsageError("give the error limit to promise, such as --max-error 0.03 (or --list)")
    body = _promise(max_error, confidence, reference, tier, models)
    with connect(home) as api:
        if dry_run:
            count = api.post(path, json={**body, "dry_run": True})
            if as_json:
                print_json(count)
            else:
                _show_count(count)
            return
        if not yes:
            _ask_if_unlikely(api.post(path, json={**body, "dry_run": True}))
        _show_made(_followed(api, api.post(searches, json=body)), as_json=as_json)


def _promise(
    max_error: float, confidence: float, reference: str, tier: str | None, models: str | None
) -> dict[str, JSON]:
    """The promise that is wanted, for the API. Raises UsageError."""
    within("--max-error", max_error, 0.0001, 1.0)
    within("--confidence", confidence, 0.5, 0.9999)
    if reference not in ("model", "human"):
        raise UsageError(f"--reference is {reference!r}: it must be model or human")
    wanted = {"tier": tier, "models": models}
    return {
        "max_error": max_error,
        "confidence": confidence,
        "reference": reference,
        **{name: value for name, value in wanted.items() if value is not None},
    }


def _ask_if_unlikely(count: JSON) -> None:
    """Ask before outcomes are used up with little hope. Raises UsageError without a terminal, and
    TierlineError if the answer is no.
    """
    import sys

    from tierline.cli.shared.output import note

    if count["chance"] is None or count["chance"] >= LIKELY:
        return
    warning = (
        f"a search on these {count['outcomes']:,} outcomes finds a promise with a chance of "
        f"{count['chance']:.0%}, and uses them up; {_advice(count)}"
    )
    if not sys.stdin.isatty():
        raise UsageError(f"{warning}; give --yes to search all the same")
    note(warning)
    if not typer.confirm("Search now?", err=True):
        raise TierlineError("nothing was started: no outcome was used up")


def _advice(count: JSON) -> str:
    if count["recommended"] is None:
        return "no realistic number of outcomes makes it 90%: promise a higher error rate"
    return f"with {count['recommended']:,} outcomes it is 90%"


def _followed(api: "Client", search: JSON) -> JSON:
    """Wait for the search to end; return it."""
    from tierline.cli.shared.operations import followed

    id, feature = search["id"], search["feature"]
    return followed(
        api,
        f"/v1/features/{feature}/threshold-searches/{id}",
        search,
        "search",
        f"follow it with 'tierline calibrate {feature} --follow {id}', or cancel it with "
        f"'tierline calibrate {feature} --cancel {id}'",
    )


def _show_made(search: JSON, *, as_json: bool) -> None:
    """Print the calibration of an ended search. Raises TierlineError if it made none."""
    from tierline.cli.shared.output import print_json

    if search["error"] is not None:
        raise TierlineError(search["error"]["message"])
    if search["calibration"] is None:
        raise TierlineError(
            f"search {search['id']} of {search['feature']} is {search['status']}: no outcome was "
            "used up"
        )
    if as_json:
        print_json(search["calibration"])
    else:
        show(search["calibration"])


def _show_cancelled(search: JSON) -> None:
    from tierline.cli.shared.output import line

    name = f"search {search['id']} of {search['feature']}"
    ends = search["status"] == "in_progress"
    line(f"{name} will end within seconds" if ends else f"{name} is {search['status']}")


def within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most or value >= 1.0:
        raise UsageError(f"{name} is {value:g}: it must be between {least:g} and {most:g}")


def _show_count(made: JSON) -> None:
    from tierline.cli.shared.output import print_pairs

    print_pairs(
        [
            ("feature", f"{made['feature']}, tier {made['tier']}"),
            ("answered by", made["models"] or "no model yet"),
            ("compared with", _compared_with(made)),
            ("new outcomes", made["outcomes"]),
            ("chance of success", _chance(made)),
            ("recommended", _recommended(made)),
            ("calibration", f"the {_ordinal(made['attempt'])} for these models"),
            *([("judge", _judged(made["judge"]))] if made["judge"] else ()),
        ]
    )


def _chance(made: JSON) -> str:
    if made["chance"] is None:
        return "unknown: too few outcomes"
    return f"{made['chance']:.0%} if they are searched now"


def _recommended(made: JSON) -> str:
    if made["recommended"] is not None:
        more = f"{made['missing']:,} more" if made["missing"] else "no more needed"
        return f"{made['recommended']:,} outcomes ({more}): chance of success 90%"
    if made["chance"] is None:
        return f"at least {made['missing']:,} more, then ask again"
    return "none: no realistic number makes this promise likely; promise a higher error rate"


def show(made: JSON) -> None:
    """Print the promise, the outcomes it is based on, and the counts of each label."""
    from tierline.cli.shared.output import line

    line(_promised(made))
    if made["threshold"] is None:
        line(
            "No threshold keeps this promise. All answers escalate; a new calibration needs new "
            "outcomes."
        )
    else:
        line(
            f"Calibration {made['id']} serves answers with a score of at least "
            f"{made['threshold']:.3f}: {made['coverage']:.1%} of {made['samples']:,} outcomes. Of "
            f"{made['served']:,} served, {made['errors']:,} were errors, so the bound is "
            f"{made['bound']:.2%}."
        )
    if made["why_not_learned"] is None:
        line(
            f"The score was learned on {made['fitted']:,} other outcomes, from these signals: "
            f"{', '.join(made['signals'])}."
        )
    else:
        line(f"The score is a single signal: {made['why_not_learned']}.")
    if made["judge"] is not None:
        line(f"Differences were decided by {_judged(made['judge'])}.")
    line(
        "The promise holds only for traffic like these outcomes, for this prompt and these models."
    )
    if made["by_label"]:
        line()
        _show_labels(made["by_label"])


def _promised(made: JSON) -> str:
    return (
        f"Of the answers that the tier {made['tier']} of {made['feature']} serves, at most "
        f"{made['max_error']:.2%} {_wrong(made)}, at {made['confidence']:.0%} confidence."
    )


def _judged(judge: JSON) -> str:
    return (
        f"{judge['model']}; of {judge['samples']:,} answers that it judged to be the same, people "
        f"found {judge['wrong']:,} wrong, so it misses up to {judge['missed']:.1%}"
    )


def _wrong(made: JSON) -> str:
    """What counts as an error. Without labels from people it is only a difference, not wrong."""
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
