"""`tierline backfill`: options, and what is told at the end. What a run does is in `run`."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Home, Json
from tierline.errors import UsageError
from tierline.json_text import JSON

if TYPE_CHECKING:
    from tierline.cli.backfill.progress import Progress
    from tierline.cli.backfill.run import Wanted
    from tierline.cli.backfill.state import Asked, State, StateFile
    from tierline.cli.backfill.steady import Steady


def backfill(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv or .jsonl file, or a folder of texts.")
    ],
    feature: Annotated[str, typer.Option("--feature", metavar="NAME", help="The feature to run.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="OUT",
            help="Where the results go: JSONL, or CSV if it ends in .csv. "
            "FILE.out.jsonl unless said.",
        ),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Fill an input field from a column; repeat it for more. Columns of a field's "
            "own name need none. A folder has the columns text and path.",
        ),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="CSV: the column that names each row.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Only the first N rows; without it, later, go on with the rest.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only count rows, check them, and estimate the cost."),
    ] = False,
    max_cost_usd: Annotated[
        str | None,
        typer.Option(
            metavar="USD",
            help="Send no more rows once this run has cost so much, its retries included; rows "
            "that are out then still end. With a higher one it goes on.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run rows that ended without an answer once more."),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Forget the earlier run and pay for every row again."),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a feature over every row of a file and write the results in the same order.

    CSV needs a header; a JSONL line is {"custom_id", "input", "metadata"} or the input itself; a
    folder gives a row for each text file, named by its path. Interactive jobs go first.

    After Ctrl-C or a crash the same command goes on where it stopped, and no row is submitted
    twice. What the run is stands in OUT.state.json. A row that is not right is told with its line,
    stands in OUT as invalid, and stops nothing.

    Exit code 1 if a row failed or was not right, or the cost limit was reached.
    """
    from tierline.cli.backfill.progress import Progress
    from tierline.cli.backfill.run import Wanted
    from tierline.cli.backfill.sources import kind_of
    from tierline.cli.backfill.state import Asked, StateFile
    from tierline.cli.backfill.steady import Steady

    kind_of(file)
    target = Path(out) if out is not None else file.with_name(file.name + ".out.jsonl")
    asked = Asked(
        str(file.absolute()), feature, str(target.absolute()), _mapping(mapping or []), id_column
    )
    wanted = Wanted(limit, _cap(max_cost_usd), retry_failed)
    with Progress() as progress, Steady(home, progress.say) as api:
        if dry_run:
            raise typer.Exit(_dry_run(api, asked, wanted, progress, as_json))
        _refuse_out(target, file)
        with StateFile(target.absolute()) as kept:
            try:
                summary = _run(api, kept, asked, wanted, progress, restart)
            except KeyboardInterrupt:
                progress.say(_INTERRUPTED)
                raise typer.Exit(130) from None
    _tell(summary, as_json)
    unanswered = summary["rows"] - summary["statuses"].get("completed", 0)
    raise typer.Exit(1 if unanswered or summary["stopped"] else 0)


_INTERRUPTED = (
    "stopped: the same command goes on from here; rows that were sent are answered meanwhile"
)


def _run(
    api: "Steady",
    kept: "StateFile",
    asked: "Asked",
    wanted: "Wanted",
    progress: "Progress",
    restart: bool,
) -> JSON:
    from tierline.cli.backfill.run import Run

    state = kept.read()
    if state is not None and not restart:
        _refuse_other(state, asked)
        done = state.done
        if done and done["limit"] == wanted.limit and not wanted.retry_failed:
            if Path(asked.out).exists():
                progress.say("this run is done; --retry-failed or --restart would do more")
                return done
            progress.say("this run is done and OUT is gone: writing it again")
    elif state is not None:
        state = _anew(api, state, asked)
    else:
        state = _found_or_new(api, asked, progress, restart)
    return Run(api, kept, state, wanted, progress).go()


def _found_or_new(api: "Steady", asked: "Asked", progress: "Progress", restart: bool) -> "State":
    """The run of a state that was lost, else a new one. Raises UsageError for somebody's OUT."""
    from tierline.cli.backfill.run import known_run
    from tierline.cli.backfill.sources import print_of
    from tierline.cli.backfill.state import State

    new = State(asked, print_of(Path(asked.file)))
    known = known_run(api, new)
    if known is not None:
        if restart:
            return _anew(api, known, asked)
        progress.say("the API knows this run: going on with it (--restart would begin anew)")
        return known
    if Path(asked.out).exists() and not restart:
        raise UsageError(f"{asked.out} is there and not of this run: name another with --out")
    return new


def _anew(api: "Steady", old: "State", asked: "Asked") -> "State":
    """A run after `old`, of which nothing more is to be paid for."""
    from tierline.cli.backfill.sources import print_of
    from tierline.cli.backfill.state import State
    from tierline.errors import NotFound

    found = print_of(Path(asked.file))
    for batch in old.batches:
        try:
            api.post(f"/v1/batches/{batch.id}/cancel")
        except NotFound:
            continue  # of another installation
    new = State(asked, found, old.restart + 1)
    while api.batch_of_key(asked.key(found.sha256, new.restart, 0)) is not None:
        new = replace(new, restart=new.restart + 1)
    return new


def _refuse_other(state: "State", asked: "Asked") -> None:
    """Raises UsageError when OUT is of another run, or FILE is no longer what it was."""
    from tierline.cli.backfill.sources import print_of, stamp_of

    if state.asked != asked:
        was = state.asked
        raise UsageError(
            f"{asked.out} is of another run: {was.file} with --feature {was.feature}, "
            f"{dict(was.mapping) or 'no --map'}, --id-column {was.id_column or 'not set'}; "
            "name another --out, or begin anew with --restart"
        )
    file = Path(asked.file)
    if stamp_of(file) == state.source.stamp:
        return
    found = print_of(file)
    if found.sha256 != state.source.sha256:
        raise UsageError(
            f"{file} has changed since this run began: put the old one back to go on, name another "
            "--out, or begin anew with --restart (every row is then paid for again)"
        )
    state.source = found


def _dry_run(
    api: "Steady", asked: "Asked", wanted: "Wanted", progress: "Progress", as_json: bool
) -> int:
    from tierline.cli.backfill.dry_run import count, report
    from tierline.cli.backfill.run import feature_named

    counted = count(feature_named(api, asked.feature), asked, wanted.limit, progress)
    report(counted, as_json)
    return 1 if counted.bad else 0


def _mapping(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, column = text.partition("=")
        if not (name and equals and column):
            raise UsageError(f"--map takes FIELD=COLUMN, not {text!r}")
        if name in found:
            raise UsageError(f"--map names {name} twice")
        found[name] = column
    return found


def _cap(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        cap = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        cap = Decimal(-1)
    if not (cap.is_finite() and cap > 0):
        raise UsageError(f"--max-cost-usd takes an amount above 0, such as 2.50, not {text!r}")
    return cap


def _refuse_out(out: Path, file: Path) -> None:
    if out.is_dir():
        raise UsageError(f"--out: {out} is a folder")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out: there is no folder {out.absolute().parent}")
    if out.exists() and out.samefile(file):
        raise UsageError("--out names FILE itself")
    if file.is_dir() and out.resolve().is_relative_to(file.resolve()):
        raise UsageError(f"--out: {out} would be a row of the folder; put it elsewhere")


def _tell(summary: JSON, as_json: bool) -> None:
    from tierline.cli.output import line, note, print_json, usd

    if as_json:
        print_json(summary)
        return
    statuses = ", ".join(f"{number:,} {name}" for name, number in summary["statuses"].items())
    line(f"{summary['rows']:,} rows: {statuses or 'none'}")
    for name, number in summary["tiers"].items():
        line(f"  {name} answered {number:,}")
    unknown = summary["unknown_cost_calls"]
    more = f", and {unknown:,} calls of unknown cost" if unknown else ""
    line(f"cost {usd(summary['cost_usd'])}{more}")
    line(f"wrote {summary['out']}")
    if summary["stopped"]:
        note("stopped at --max-cost-usd: the same command with a higher one goes on")
