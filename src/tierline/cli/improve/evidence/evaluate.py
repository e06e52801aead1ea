"""`tierline eval`: compares a feature's tiers, pair by pair, on the same examples of a dataset."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

FEWEST = 10  # examples
SHOWN = 5  # examples shown on which two tiers differ
POLL_S = 0.2
LONGEST_POLL_S = 5.0
PAUSE_SHARE = 10  # a pause lasts this many times as long as the last answer took
SAY_AFTER_S = 15.0  # without any call, before a note says so
NOT_REACHED = 1


def evaluate(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
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
    fail_under: Annotated[
        float | None,
        typer.Option(
            metavar="RATIO",
            help="Exit 1 if the lower bound of any tier's quality ratio is below this: 0.9.",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="XML", help="Write JUnit XML to this file, for CI.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw each tier's quality to this file.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="S", min=1, help="Stop waiting after S seconds; the evaluation continues."
        ),
    ] = None,
    show: Annotated[
        int | None, typer.Option("--show", metavar="ID", min=1, help="Show an earlier evaluation.")
    ] = None,
    follow: Annotated[
        int | None,
        typer.Option("--follow", metavar="ID", min=1, help="Wait for a running evaluation."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the evaluations.")] = False,
    cancel: Annotated[
        int | None,
        typer.Option("--cancel", metavar="ID", min=1, help="Cancel a running evaluation."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a dataset's test examples through each tier, and show which tiers are good enough.

    The server runs it on the queues; Ctrl-C ends only the waiting. It never uses examples that are
    in a prompt or in training data. It needs a key with the scope operator, whose account pays for
    the calls.
    """
    from tierline.cli.improve.evidence.calibrate import within
    from tierline.cli.shared.amounts import above_zero
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    if fail_under is not None:
        within("--fail-under", fail_under, 0.01, 1.0)
    if sum(one is not None and one is not False for one in (show, follow, cancel, list_)) > 1:
        raise UsageError("give only one of --show, --follow, --list and --cancel")
    with connect(home) as api:
        place = f"/v1/features/{feature}/evaluations"
        if list_:
            _list(api.get(place), as_json=as_json)
            return
        if cancel is not None:
            api.post(f"{place}/{cancel}/cancel")
            line(f"evaluation {cancel} of {feature} is cancelled")
            return
        if show is not None:
            made = api.get(f"{place}/{show}")
        elif follow is not None:
            made = _follow(api, place, api.get(f"{place}/{follow}"), timeout)
        else:
            wanted = {
                "dataset": dataset,
                "tiers": None if tiers is None else [name.strip() for name in tiers.split(",")],
                "limit": limit,
                "max_usd": None if max_usd is None else str(above_zero("--max-usd", max_usd)),
            }
            given = {name: value for name, value in wanted.items() if value is not None}
            made = _follow(api, place, api.post(place, json=given), timeout)
        _refuse_unfinished(made)
        differing = {
            one["tier"]: api.get(f"{place}/{made['id']}/differing", {"tier": one["tier"]})["data"]
            for one in made["found"]["compared"]
        }
    if junit is not None:
        from tierline.cli.improve.evidence.evaluation_junit import write_junit

        write_junit(junit, made, fail_under)
    if png is not None:
        from tierline.cli.improve.evidence.evaluation_plot import save_png

        save_png(made, png)
    if as_json:
        print_json(made | {"differing": differing})
    else:
        from tierline.cli.improve.evidence.evaluation_view import print_evaluation

        print_evaluation(made, {tier: rows[:SHOWN] for tier, rows in differing.items()})
    if fail_under is not None:
        from tierline.evaluation.summary import low_of

        if any(low_of(one) < fail_under for one in made["found"]["compared"]):
            raise typer.Exit(NOT_REACHED)


def _follow(api: "Client", place: str, made: JSON, timeout_s: float | None) -> JSON:
    """Wait for the evaluation to end. Raises TierlineError if its budget is spent or the time is
    over; the evaluation is not changed then.
    """
    from tierline.cli.shared.bar import Bar
    from tierline.cli.shared.output import note

    id, feature = made["id"], made["feature"]
    again = (
        f"follow it with 'tierline eval {feature} --follow {id}', or cancel it with "
        f"'tierline eval {feature} --cancel {id}'"
    )
    began = time.monotonic()
    took_s = 0.0
    warned = False
    try:
        of = 0 if made["progress"] is None else made["progress"]["of"]
        with Bar(of, f"{feature}, evaluation {id}") as bar:
            while (so_far := made["progress"]) is not None:
                bar.show(so_far["ended"])
                waited_s = time.monotonic() - began
                if so_far["waits_for"] == "budget":
                    raise TierlineError(
                        f"{so_far['cost_usd']} of {made['max_usd']} USD are spent on "
                        f"{so_far['ended']:,} of {so_far['of']:,} answers, and one more might cost "
                        f"more than is left: run the same command with a higher --max-usd to "
                        f"continue evaluation {id}"
                    )
                if timeout_s is not None and waited_s > timeout_s:
                    raise TierlineError(
                        f"after {timeout_s:g} s there are {so_far['ended']:,} of "
                        f"{so_far['of']:,} answers; the evaluation continues: {again}"
                    )
                if not warned and not so_far["asked"] and waited_s > SAY_AFTER_S:
                    note(
                        "no model has been called yet: an evaluation needs a running dispatcher "
                        "and a running worker of the queue 'maintenance'"
                    )
                    warned = True
                time.sleep(min(LONGEST_POLL_S, max(POLL_S, PAUSE_SHARE * took_s)))
                asked = time.monotonic()
                made = api.get(f"{place}/{id}")
                took_s = time.monotonic() - asked
    except KeyboardInterrupt:
        note(f"evaluation {id} continues: {again}")
        raise
    return made


def _refuse_unfinished(made: JSON) -> None:
    if made["found"] is not None:
        return
    id, feature, so_far = made["id"], made["feature"], made["progress"]
    if so_far is None:
        raise TierlineError(f"evaluation {id} of {feature} has no result: it is {made['status']}")
    raise TierlineError(
        f"evaluation {id} of {feature} is still running, with {so_far['ended']:,} of "
        f"{so_far['of']:,} answers: wait for it with 'tierline eval {feature} --follow {id}'"
    )


def _list(found: JSON, *, as_json: bool) -> None:
    from tierline.cli.shared.output import Col, print_json, print_table, when

    if as_json:
        print_json(found)
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
                    for each in (one["found"] or {}).get("compared", [])
                ),
            )
            for one in found["data"]
        ],
        empty="no evaluation yet",
    )
