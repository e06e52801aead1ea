"""`tierline eval`: a feature's tiers on the same examples of a dataset, compared pair by pair."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import LimitReached, TierlineError, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

FEWEST = 10  # examples
SHOWN = 5  # examples on which two tiers differ
POLL_S = 0.2
NOT_REACHED = 1


def evaluate(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    dataset: Annotated[
        int | None, typer.Option("--dataset", min=1, help="Its version; the newest unless said.")
    ] = None,
    tiers: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Of the feature's; all unless said. Held to the last."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=FEWEST, help="Only so many examples, always the same.")
    ] = None,
    max_usd: Annotated[
        str | None, typer.Option(metavar="USD", help="What it may cost; go on later with more.")
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(metavar="RATIO", help="Exit 1 unless every tier surely keeps so much: 0.9."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="XML", help="Write JUnit XML there, for CI.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw what each tier keeps there.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="S", min=1, help="Stop waiting then; it goes on later.")
    ] = None,
    show: Annotated[
        int | None, typer.Option("--show", metavar="ID", min=1, help="One that was made before.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Those that were made.")] = False,
    cancel: Annotated[
        int | None, typer.Option("--cancel", metavar="ID", min=1, help="End one that runs.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Ask each tier the test examples of a dataset, on the queues, and say which is good enough.

    What was asked is kept: the same command goes on after an interruption. Never asks what stands
    in a prompt or in training. Costs what its calls cost; needs a key with the scope operator,
    whose account pays.
    """
    from tierline.cli.improve.calibrate import within
    from tierline.cli.shared.amounts import above_zero
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    if fail_under is not None:
        within("--fail-under", fail_under, 0.01, 1.0)
    if sum(one is not None and one is not False for one in (show, cancel, list_)) > 1:
        raise UsageError("--show, --list and --cancel are three commands: give one")
    with connect(home) as api:
        place = f"/v1/features/{feature}/evaluations"
        if list_:
            _list(api.get(place), as_json=as_json)
            return
        if cancel is not None:
            api.post(f"{place}/{cancel}/cancel")
            line(f"evaluation {cancel} of {feature} has ended")
            return
        if show is not None:
            made = api.get(f"{place}/{show}")
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
        from tierline.cli.improve.evaluation_junit import write_junit

        write_junit(junit, made, fail_under)
    if png is not None:
        from tierline.cli.improve.evaluation_plot import save_png

        save_png(made, png)
    if as_json:
        print_json(made | {"differing": differing})
    else:
        from tierline.cli.improve.evaluation_view import print_evaluation

        print_evaluation(made, {tier: rows[:SHOWN] for tier, rows in differing.items()})
    if fail_under is not None:
        from tierline.evaluation.summary import low_of

        if any(low_of(one) < fail_under for one in made["found"]["compared"]):
            raise typer.Exit(NOT_REACHED)


def _follow(api: "Client", place: str, made: JSON, timeout_s: float | None) -> JSON:
    """Drive it to its end. Raises TierlineError where its budget is spent or the time is over."""
    from tierline.cli.shared.bar import Bar
    from tierline.cli.shared.output import note

    again = f"the same command goes on with evaluation {made['id']}"
    give_up = None if timeout_s is None else time.monotonic() + timeout_s
    before: JSON = None
    try:
        with Bar(made["progress"]["of"], f"{made['feature']}, evaluation {made['id']}") as bar:
            while True:
                try:
                    made = api.post(f"{place}/{made['id']}/step")
                except LimitReached as full:
                    time.sleep(full.retry_after_s or POLL_S)
                    continue
                so_far = made["progress"]
                if so_far is None:
                    return made
                bar.show(so_far["ended"])
                if so_far["asked"] == so_far["ended"] and so_far == before:
                    raise TierlineError(
                        f"of {made['max_usd']} USD {so_far['cost_usd']} are spent on "
                        f"{so_far['ended']:,} of {so_far['of']:,} answers, and one more might cost "
                        f"more than is left: {again} with a higher --max-usd"
                    )
                if give_up is not None and time.monotonic() > give_up:
                    raise TierlineError(
                        f"{so_far['ended']:,} of {so_far['of']:,} answers had come after "
                        f"{timeout_s:g} s: {again}"
                    )
                before = so_far
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        note(f"interrupted: {again}")
        raise


def _refuse_unfinished(made: JSON) -> None:
    if made["found"] is None:
        raise TierlineError(
            f"evaluation {made['id']} of {made['feature']} found nothing: it is {made['status']}"
        )


def _list(found: JSON, *, as_json: bool) -> None:
    from tierline.cli.shared.output import Col, print_json, print_table, when

    if as_json:
        print_json(found)
        return
    print_table(
        [
            Col("ID", "right"),
            Col("BEGUN", wrap=False),
            *(Col(title, "right") for title in ("DATASET", "EXAMPLES")),
            *(Col("STATUS"), Col("FOUND")),
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
