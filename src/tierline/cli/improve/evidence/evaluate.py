"""`tierline eval`: compares a feature's tiers, pair by pair, on the same examples of a dataset."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON
from tierline.cli.improve.evidence.old_flags import EvalCommands, EvalFlags, run_eval_flag
from tierline.cli.shared.options import Home, Json, RunsByDefault, command_group

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

FEWEST = 10  # examples
SHOWN = 5  # examples shown on which two tiers differ
POLL_S = 0.2
LONGEST_POLL_S = 5.0
PAUSE_SHARE = 10  # a pause lasts this many times as long as the last answer took
SAY_AFTER_S = 15.0  # without any call, before a note says so
NOT_REACHED = 1


Feature = Annotated[str, typer.Argument(metavar="FEATURE")]
EvaluationId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The evaluation's id.")]
FailUnder = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO",
        help="Exit 1 if the lower bound of any tier's quality ratio is below this: 0.9.",
    ),
]
Junit = Annotated[
    Path | None, typer.Option(metavar="XML", help="Write JUnit XML to this file, for CI.")
]
Png = Annotated[
    Path | None, typer.Option(metavar="PNG", help="Draw each tier's quality to this file.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="S", min=1, help="Stop waiting after S seconds; the evaluation continues."
    ),
]
app = command_group(
    "Compare a feature's tiers on a dataset's examples. 'tierline eval FEATURE' runs one.",
    cls=RunsByDefault,
)


@dataclass(frozen=True)
class ResultOptions:
    """What to do with a result."""

    as_json: bool = False
    fail_under: float | None = None
    junit: Path | None = None
    png: Path | None = None


@app.command("run")
def run(
    feature: Feature,
    dataset: Annotated[
        int | None,
        typer.Option("--dataset", min=1, help="The dataset's version; by default the newest."),
    ] = None,
    tiers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="The tiers to use, by default all. The last is the reference."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=FEWEST, help="Use only this many examples, always the same ones."),
    ] = None,
    max_usd: Annotated[
        str | None,
        typer.Option(metavar="USD", help="The cost limit; run it again with more to continue."),
    ] = None,
    fail_under: FailUnder = None,
    junit: Junit = None,
    png: Png = None,
    timeout: Timeout = None,
    show_: Annotated[int | None, typer.Option("--show", hidden=True)] = None,
    follow_: Annotated[int | None, typer.Option("--follow", hidden=True)] = None,
    listed: Annotated[bool, typer.Option("--list", hidden=True)] = False,
    cancel_: Annotated[int | None, typer.Option("--cancel", hidden=True)] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a dataset's test examples through each tier, and show which tiers are good enough.

    The server runs it on the queues; Ctrl-C ends only the waiting. It never uses examples that are
    in a prompt or in training data. It needs a key with the scope operator, whose account pays for
    the calls.
    """
    from tierline.cli.shared.amounts import above_zero
    from tierline.cli.shared.client import connect

    flags = EvalFlags(show_, follow_, listed, cancel_)
    if flags.given:
        commands = EvalCommands(list_, follow, cancel, show)
        return run_eval_flag(
            commands, feature, flags, fail_under, junit, png, timeout, home, as_json=as_json
        )
    result = _result_options(as_json, fail_under, junit, png)
    options = {
        "dataset": dataset,
        "tiers": None if tiers is None else [name.strip() for name in tiers.split(",")],
        "limit": limit,
        "max_usd": None if max_usd is None else str(above_zero("--max-usd", max_usd)),
    }
    body = {name: value for name, value in options.items() if value is not None}
    with connect(home) as api:
        path = _path(feature)
        _result(api, _follow(api, path, api.post(path, json=body), timeout), result)


@app.command()
def show(
    feature: Feature,
    id: EvaluationId,
    fail_under: FailUnder = None,
    junit: Junit = None,
    png: Png = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show an earlier evaluation."""
    from tierline.cli.shared.client import connect

    result = _result_options(as_json, fail_under, junit, png)
    with connect(home) as api:
        _result(api, api.get(f"{_path(feature)}/{id}"), result)


@app.command()
def follow(
    feature: Feature,
    id: EvaluationId,
    fail_under: FailUnder = None,
    junit: Junit = None,
    png: Png = None,
    timeout: Timeout = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Wait for a running evaluation, and show its result."""
    from tierline.cli.shared.client import connect

    result = _result_options(as_json, fail_under, junit, png)
    with connect(home) as api:
        path = _path(feature)
        _result(api, _follow(api, path, api.get(f"{path}/{id}"), timeout), result)


@app.command("list")
def list_(feature: Feature, home: Home = None, as_json: Json = False) -> None:
    """List a feature's evaluations, the newest first."""
    from tierline.cli.shared.client import connect

    with connect(home) as api:
        _list(api.get(_path(feature)), as_json=as_json)


@app.command()
def cancel(feature: Feature, id: EvaluationId, home: Home = None, as_json: Json = False) -> None:
    """Cancel a running evaluation."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        ended = api.post(f"{_path(feature)}/{id}/cancel")
    if as_json:
        print_json(ended)
    else:
        line(f"evaluation {id} of {feature} is cancelled")


def _path(feature: str) -> str:
    return f"/v1/features/{feature}/evaluations"


def _result_options(
    as_json: bool, fail_under: float | None, junit: Path | None, png: Path | None
) -> ResultOptions:
    """Raises UsageError for a ratio outside its range."""
    from tierline.cli.shared.amounts import within

    if fail_under is not None:
        within("--fail-under", fail_under, 0.01, 1.0)
    return ResultOptions(as_json, fail_under, junit, png)


def _result(api: "Client", evaluation: JSON, options: ResultOptions) -> None:
    """Show a completed evaluation. Raises TierlineError if it has no result, and Exit if a ratio is
    too low.
    """
    from tierline.cli.shared.output import print_json

    _refuse_unfinished(evaluation)
    path = _path(evaluation["feature"])
    differing = {
        one["tier"]: api.get(f"{path}/{evaluation['id']}/differing", {"tier": one["tier"]})["data"]
        for one in evaluation["result"]["compared"]
    }
    if options.junit is not None:
        from tierline.cli.improve.evidence.evaluation_junit import write_junit

        write_junit(options.junit, evaluation, options.fail_under)
    if options.png is not None:
        from tierline.cli.improve.evidence.evaluation_plot import save_png

        save_png(evaluation, options.png)
    if options.as_json:
        print_json(evaluation | {"differing": differing})
    else:
        from tierline.cli.improve.evidence.evaluation_view import print_evaluation

        print_evaluation(evaluation, {tier: rows[:SHOWN] for tier, rows in differing.items()})
    if options.fail_under is not None:
        from tierline.evaluation.summary import low_of

        if any(low_of(one) < options.fail_under for one in evaluation["result"]["compared"]):
            raise typer.Exit(NOT_REACHED)


def _follow(api: "Client", path: str, evaluation: JSON, timeout_s: float | None) -> JSON:
    """Wait for the evaluation to end. Raises TierlineError if its budget is spent or the time is
    over; the evaluation is not changed then.
    """
    from tierline.cli.shared.bar import Bar
    from tierline.cli.shared.output import note

    id, feature = evaluation["id"], evaluation["feature"]
    how_to_follow = (
        f"follow it with 'tierline eval follow {feature} {id}', or cancel it with "
        f"'tierline eval cancel {feature} {id}'"
    )
    started_at = time.monotonic()
    took_s = 0.0
    warned = False
    try:
        total = 0 if evaluation["progress"] is None else evaluation["progress"]["of"]
        with Bar(total, f"{feature}, evaluation {id}") as bar:
            while (so_far := evaluation["progress"]) is not None:
                bar.show(so_far["ended"])
                waited_s = time.monotonic() - started_at
                if so_far["waits_for"] == "budget":
                    raise TierlineError(
                        f"{so_far['cost_usd']} of {evaluation['max_usd']} USD are spent on "
                        f"{so_far['ended']:,} of {so_far['of']:,} answers, and one more might cost "
                        f"more than is left: run the same command with a higher --max-usd to "
                        f"continue evaluation {id}"
                    )
                if timeout_s is not None and waited_s > timeout_s:
                    raise TierlineError(
                        f"after {timeout_s:g} s there are {so_far['ended']:,} of "
                        f"{so_far['of']:,} answers; the evaluation continues: {how_to_follow}"
                    )
                if not warned and not so_far["asked"] and waited_s > SAY_AFTER_S:
                    note(
                        "no model has been called yet: an evaluation needs a running dispatcher "
                        "and a running worker of the queue 'maintenance'"
                    )
                    warned = True
                time.sleep(min(LONGEST_POLL_S, max(POLL_S, PAUSE_SHARE * took_s)))
                polled_at = time.monotonic()
                evaluation = api.get(f"{path}/{id}")
                took_s = time.monotonic() - polled_at
    except KeyboardInterrupt:
        note(f"evaluation {id} continues: {how_to_follow}")
        raise
    return evaluation


def _refuse_unfinished(evaluation: JSON) -> None:
    if evaluation["result"] is not None:
        return
    id, feature, so_far = evaluation["id"], evaluation["feature"], evaluation["progress"]
    if so_far is None:
        raise TierlineError(
            f"evaluation {id} of {feature} has no result: it is {evaluation['status']}"
        )
    raise TierlineError(
        f"evaluation {id} of {feature} is still running, with {so_far['ended']:,} of "
        f"{so_far['of']:,} answers: wait for it with 'tierline eval follow {feature} {id}'"
    )


def _list(evaluations: JSON, *, as_json: bool) -> None:
    from tierline.cli.shared.output import Col, print_json, print_table, when

    if as_json:
        print_json(evaluations)
        return
    print_table(
        [
            Col("ID", "right"),
            Col("STARTED", wrap=False),
            *(Col(title, "right") for title in ("DATASET", "EXAMPLES")),
            *(Col("STATUS"), Col("RESULT")),
        ],
        [
            (
                *(one["id"], when(one["created_at"]), one["dataset"], f"{one['planned']:,}"),
                one["status"] + (f", stale: {one['stale']}" if one["stale"] else ""),
                "; ".join(
                    f"{each['tier']}: {each['verdict']}"
                    for each in (one["result"] or {}).get("compared", [])
                ),
            )
            for one in evaluations["data"]
        ],
        empty="no evaluation yet",
    )
