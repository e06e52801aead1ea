"""`tierline calibrate`: finds the threshold that keeps a promise, from a feature's own outcomes."""

from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.improve.evidence.calibration_view import show, show_all, show_count
from tierline.cli.improve.evidence.old_flags import (
    CalibrateCommands,
    CalibrateFlags,
    run_calibrate_flag,
)
from tierline.cli.shared.amounts import within
from tierline.cli.shared.options import Home, Json, RunsByDefault, command_group

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
    the next one needs new outcomes. If its chance of success is below 90%, it asks first. Without a
    terminal it then needs --yes, and ends with exit code 2 otherwise.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    flags = CalibrateFlags(listed, withdraw_, reason, follow_, cancel_)
    if flags.given:
        commands = CalibrateCommands(list_, follow, cancel, withdraw)
        return run_calibrate_flag(commands, feature, flags, max_error, home, as_json=as_json)
    if max_error is None:
        raise UsageError("give the error limit to promise, such as --max-error 0.03")
    body = _promise(max_error, confidence, reference, tier, models)
    with connect(home) as api:
        if dry_run:
            count = api.post(_calibrations(feature), json={**body, "dry_run": True})
            if as_json:
                print_json(count)
            else:
                show_count(count)
            return
        if not yes:
            _confirm_if_unlikely(api.post(_calibrations(feature), json={**body, "dry_run": True}))
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
        show_all(answer["data"])


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


def _confirm_if_unlikely(count: JSON) -> None:
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
        return (
            "from these it cannot be said how many outcomes make it 90%: collect more and repeat "
            "the dry run, or promise a higher error rate"
        )
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
