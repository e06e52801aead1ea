"""`tierline calibrate`: finds the threshold that keeps a promise, from a feature's own outcomes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, RunsByDefault, command_group, replaced

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

LIKELY = 0.9  # a search with a lower chance of success asks first


Feature = Annotated[str, typer.Argument(metavar="FEATURE")]
SearchId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The search's id.")]

app = command_group(
    "Find the confidence threshold for an error limit. 'tierline calibrate FEATURE' runs a search.",
    cls=RunsByDefault,
)


@app.command("run")
def run(
    feature: Feature,
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
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Search without asking, even if success is unlikely."),
    ] = False,
    listed: Annotated[bool, typer.Option("--list", hidden=True)] = False,
    withdraw_: Annotated[int | None, typer.Option("--withdraw", hidden=True)] = None,
    reason: Annotated[str | None, typer.Option(hidden=True)] = None,
    follow_: Annotated[int | None, typer.Option("--follow", hidden=True)] = None,
    cancel_: Annotated[int | None, typer.Option("--cancel", hidden=True)] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Choose a tier's confidence threshold so that its share of errors stays below a limit.

    The server runs the search; Ctrl-C ends only the waiting. A calibration uses its outcomes up, so
    the next one needs new outcomes. If its chance of success is below 90%, it asks first.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    if listed or any(one is not None for one in (withdraw_, follow_, cancel_)):
        old = _OldFlags(listed, withdraw_, reason, follow_, cancel_)
        return _run_old(feature, old, max_error, home, as_json=as_json)
    if max_error is None:
        raise UsageError("give the error limit to promise, such as --max-error 0.03")
    body = _promise(max_error, confidence, reference, tier, models)
    with connect(home) as api:
        if dry_run:
            count = api.post(_calibrations(feature), json={**body, "dry_run": True})
            if as_json:
                print_json(count)
            else:
                _show_count(count)
            return
        if not yes:
            _ask_if_unlikely(api.post(_calibrations(feature), json={**body, "dry_run": True}))
        _show_made(_followed(api, api.post(_searches(feature), json=body)), as_json=as_json)


@app.command("list")
def list_(feature: Feature, home: Home = None, as_json: Json = False) -> None:
    """List a feature's calibrations and their states."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    with connect(home) as api:
        answer = api.get(_calibrations(feature))
    if as_json:
        print_json(answer)
    else:
        _show_all(answer["data"])


@app.command()
def withdraw(
    feature: Feature,
    id: Annotated[int, typer.Argument(metavar="ID", min=1, help="The calibration's id.")],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why it is withdrawn; this is recorded.")
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Withdraw a calibration; its answers then escalate."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        calibration = api.post(f"{_calibrations(feature)}/{id}/withdraw", json={"reason": reason})
    if as_json:
        print_json(calibration)
    else:
        line(f"calibration {id} of {feature} is withdrawn: its answers now escalate")


@app.command()
def follow(feature: Feature, id: SearchId, home: Home = None, as_json: Json = False) -> None:
    """Wait for a running search, and show its result."""
    from tierline.cli.shared.client import connect

    with connect(home) as api:
        search = api.get(f"{_searches(feature)}/{id}")
        _show_made(_followed(api, search), as_json=as_json)


@app.command()
def cancel(feature: Feature, id: SearchId, home: Home = None, as_json: Json = False) -> None:
    """Cancel a search; no outcome is used up."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    with connect(home) as api:
        ended = api.post(f"{_searches(feature)}/{id}/cancel")
    if as_json:
        print_json(ended)
    else:
        _show_cancelled(ended)


@dataclass(frozen=True)
class _OldFlags:
    """Flags of release 0.2 that are commands now."""

    listed: bool
    withdraw: int | None
    reason: str | None
    follow: int | None
    cancel: int | None


def _run_old(
    feature: str, old: _OldFlags, max_error: float | None, home: Path | None, *, as_json: bool
) -> None:
    """Run the command of a flag of release 0.2, and say what it is now. Raises UsageError."""
    given = sum(one is not None for one in (max_error, old.withdraw, old.follow, old.cancel))
    if given + old.listed > 1:
        raise UsageError(
            "give only one of --list, --withdraw, --follow, --cancel and --max-error; the first "
            "four are commands now: see 'tierline calibrate --help'"
        )
    if old.listed:
        replaced("calibrate --list", f"tierline calibrate list {feature}")
        list_(feature, home, as_json)
    elif old.follow is not None:
        replaced("calibrate --follow", f"tierline calibrate follow {feature} {old.follow}")
        follow(feature, old.follow, home, as_json)
    elif old.cancel is not None:
        replaced("calibrate --cancel", f"tierline calibrate cancel {feature} {old.cancel}")
        cancel(feature, old.cancel, home, as_json=False)
    elif old.withdraw is not None:
        if not old.reason:
            raise UsageError("--withdraw needs a reason, which is recorded: --reason TEXT")
        new = f"tierline calibrate withdraw {feature} {old.withdraw} --reason TEXT"
        replaced("calibrate --withdraw", new)
        withdraw(feature, old.withdraw, old.reason, home, as_json)


def _calibrations(feature: str) -> str:
    return f"/v1/features/{feature}/calibrations"


def _searches(feature: str) -> str:
    return f"/v1/features/{feature}/threshold-searches"


def _promise(
    max_error: float, confidence: float, reference: str, tier: str | None, models: str | None
) -> dict[str, JSON]:
    """The promise to search for, in the API's form. Raises UsageError."""
    within("--max-error", max_error, 0.0001, 1.0)
    within("--confidence", confidence, 0.5, 0.9999)
    if reference not in ("model", "human"):
        raise UsageError(f"--reference is {reference!r}: it must be model or human")
    optional = {"tier": tier, "models": models}
    return {
        "max_error": max_error,
        "confidence": confidence,
        "reference": reference,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _ask_if_unlikely(count: JSON) -> None:
    """Ask before outcomes are used up if success is unlikely. Raises UsageError without a terminal,
    and TierlineError if the answer is no.
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
        f"follow it with 'tierline calibrate follow {feature} {id}', or cancel it with "
        f"'tierline calibrate cancel {feature} {id}'",
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


def _show_count(count: JSON) -> None:
    from tierline.cli.shared.output import print_pairs

    print_pairs(
        [
            ("feature", f"{count['feature']}, tier {count['tier']}"),
            ("answered by", count["models"] or "no model yet"),
            ("compared with", _compared_with(count)),
            ("new outcomes", count["outcomes"]),
            ("chance of success", _chance(count)),
            ("recommended", _recommended(count)),
            ("calibration", f"the {_ordinal(count['attempt'])} for these models"),
            *([("judge", _judged(count["judge"]))] if count["judge"] else ()),
        ]
    )


def _chance(count: JSON) -> str:
    if count["chance"] is None:
        return "unknown: too few outcomes"
    return f"{count['chance']:.0%} if they are searched now"


def _recommended(count: JSON) -> str:
    if count["recommended"] is not None:
        more = f"{count['missing']:,} more" if count["missing"] else "no more needed"
        return f"{count['recommended']:,} outcomes ({more}): chance of success 90%"
    if count["chance"] is None:
        return f"at least {count['missing']:,} more, then ask again"
    return "none: no realistic number makes this promise likely; promise a higher error rate"


def show(calibration: JSON) -> None:
    """Print the promise, the outcomes it is based on, and the counts of each label."""
    from tierline.cli.shared.output import line

    line(_promised(calibration))
    if calibration["threshold"] is None:
        line(
            "No threshold keeps this promise. All answers escalate; a new calibration needs new "
            "outcomes."
        )
    else:
        line(
            f"Calibration {calibration['id']} serves answers with a score of at least "
            f"{calibration['threshold']:.3f}: {calibration['coverage']:.1%} of "
            f"{calibration['samples']:,} outcomes. Of {calibration['served']:,} served, "
            f"{calibration['errors']:,} were errors, so the bound is {calibration['bound']:.2%}."
        )
    if calibration["why_not_learned"] is None:
        line(
            f"The score was learned on {calibration['fitted']:,} other outcomes, from these "
            f"signals: {', '.join(calibration['signals'])}."
        )
    else:
        line(f"The score is a single signal: {calibration['why_not_learned']}.")
    if calibration["judge"] is not None:
        line(f"Differences were decided by {_judged(calibration['judge'])}.")
    if calibration["state"] == "not_applied":
        line(
            "It shows what such a threshold would serve, and changes nothing: the feature's own "
            "threshold decides. To route by a promise, give the feature 'threshold: calibrated', "
            "apply it, and calibrate on the outcomes that follow."
        )
    line(
        "The promise holds only for traffic like these outcomes, for this prompt and these models."
    )
    if calibration["by_label"]:
        line()
        _show_labels(calibration["by_label"])


def _promised(calibration: JSON) -> str:
    return (
        f"Of the answers that the tier {calibration['tier']} of {calibration['feature']} serves, "
        f"at most {calibration['max_error']:.2%} {_wrong(calibration)}, at "
        f"{calibration['confidence']:.0%} confidence."
    )


def _judged(judge: JSON) -> str:
    return (
        f"{judge['model']}; of {judge['samples']:,} answers that it judged to be the same, people "
        f"found {judge['wrong']:,} wrong, so it misses up to {judge['missed']:.1%}"
    )


def _wrong(calibration: JSON) -> str:
    """What counts as an error. Without labels from people it is only a difference, not wrong."""
    if calibration["reference"] == "human" or calibration["judge"] is not None:
        return "may be wrong"
    return f"may differ from {', '.join(calibration['reference_models']) or 'the later tier'}"


def _compared_with(evidence: JSON) -> str:
    if evidence["reference"] == "human":
        return "people's labels"
    return ", ".join(evidence["reference_models"]) or "nothing yet"


def _show_labels(labels: JSON) -> None:
    from tierline.cli.shared.output import Col, print_table

    print_table(
        [Col("ANSWER"), *(Col(title, "right") for title in ("OUTCOMES", "SERVED", "DIFFER"))],
        [(one["label"], one["samples"], one["served"], one["errors"]) for one in labels],
        empty="no label",
    )


def _show_all(calibrations: list[JSON]) -> None:
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
            for one in calibrations
        ],
        empty="no calibration yet",
    )


def _ordinal(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
