"""`tierline backfill`: options, and the summary at the end. The run itself is in `run`."""

from contextlib import ExitStack, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tierline.base.digits import decimal
from tierline.base.errors import Unavailable, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.csv_cells import RawCsv
from tierline.cli.shared.options import Home, Json

OnInterrupt = Literal["ask", "cancel", "keep"]

if TYPE_CHECKING:
    from tierline.cli.run.backfill.piped import Piped
    from tierline.cli.run.backfill.progress import Progress
    from tierline.cli.run.backfill.retrying_client import RetryingClient
    from tierline.cli.run.backfill.run import RunOptions
    from tierline.cli.run.backfill.state import RunRequest, StateFile


def backfill(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A .csv or .jsonl file, a folder of texts, or - for stdin."
        ),
    ],
    feature: Annotated[str, typer.Option("--feature", metavar="NAME", help="The feature to run.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="OUT",
            help="Where the results go: JSONL, or CSV if it ends in .csv. "
            "By default FILE.out.jsonl.",
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
    encoding: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="FILE's encoding, if not UTF-8, such as latin-1."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Only the first N rows; run it later without the option for the rest.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only count and check rows, and estimate the cost."),
    ] = False,
    max_cost_usd: Annotated[
        str | None,
        typer.Option(
            metavar="USD",
            help="Send no more rows once this run, with its retries, has cost so much; rows "
            "already sent still end. With a higher value it continues.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run rows that ended without an answer again."),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Cancel the earlier run and pay for every row again."),
    ] = False,
    on_interrupt: Annotated[
        OnInterrupt,
        typer.Option(
            metavar="cancel|keep",
            help="After Ctrl-C: cancel the rows that were sent, or keep them running. By default "
            "it asks; without a terminal it keeps them.",
            show_default=False,
        ),
    ] = "ask",
    raw_csv: RawCsv = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a feature over every row of a file and write the results in the same order.

    CSV needs a header; a JSONL line is {"custom_id", "input", "metadata"} or the input itself; a
    folder gives a row for each text file, with its path as id. Interactive jobs have priority.

    After Ctrl-C or a crash the same command continues where it stopped, and no row is submitted
    twice. The run's state is in OUT.state.json. An invalid row, such as one with an id that is
    already used, is reported with its line, is in OUT as invalid, and does not stop the run.

    OUT has for every row: id (its own, else its line), line, job_id, status, output, unverified,
    tier, verdict, cost (USD), unknown_cost_calls, error, blocked_reason (why no later tier was
    called). It is written as a whole at the end, readable by its owner only.

    Exit code 1 if a row failed or was invalid, or the cost limit was reached.
    """
    from tierline.cli.run.backfill.dry_run import count, report
    from tierline.cli.run.backfill.encodings import encoding_named, refuse_other_encoding
    from tierline.cli.run.backfill.piped import piped_rows
    from tierline.cli.run.backfill.progress import Progress
    from tierline.cli.run.backfill.retrying_client import RetryingClient
    from tierline.cli.run.backfill.run import RunOptions, feature_named
    from tierline.cli.run.backfill.sources import kind_of
    from tierline.cli.run.backfill.state import RunRequest

    options = RunOptions(limit, _cap(max_cost_usd), retry_failed, raw_csv)
    fields = _mapping(mapping or [])
    codec = None if encoding is None else encoding_named(encoding)
    with ExitStack() as stack:
        piped = stack.enter_context(piped_rows(out)) if str(file) == "-" else None
        source = file if piped is None else piped.saved
        kind = kind_of(source)
        if kind != "folder" and encoding is None:
            refuse_other_encoding(source)
        if file.name in ("", ".."):
            file = file.resolve()
        target = Path(out) if out is not None else file.with_name(file.name + ".out.jsonl")
        read_from = source if piped is None or dry_run else piped.file
        request = RunRequest(
            str(read_from.absolute()),
            feature,
            str(target.absolute()),
            fields,
            id_column,
            None if codec == "utf-8" else codec,
        )
        progress = stack.enter_context(Progress())
        api = stack.enter_context(RetryingClient(home, progress.say))
        if dry_run:
            counted = count(feature_named(api, feature), request, limit, progress)
        else:
            summary = _held_run(api, request, options, progress, restart, piped, on_interrupt)
    if dry_run:
        report(counted, as_json)
        raise typer.Exit(1 if counted.bad else 0)
    _print_summary(summary, as_json)
    unanswered = summary["rows"] - summary["statuses"].get("completed", 0)
    raise typer.Exit(1 if unanswered or summary["stopped"] else 0)


def _held_run(
    api: "RetryingClient",
    request: "RunRequest",
    options: "RunOptions",
    progress: "Progress",
    restart: bool,
    piped: "Piped | None",
    on_interrupt: OnInterrupt,
) -> JSON:
    """Run with OUT locked, and return the summary."""
    from tierline.cli.run.backfill.interrupt import interrupted
    from tierline.cli.run.backfill.state import StateFile

    _refuse_out(Path(request.out), Path(request.file))
    without = " without --restart" if restart else ""
    how_to_continue = f"stopped: the same command{without} continues from here"
    with StateFile(Path(request.out)) as state_file, piped.in_place() if piped else nullcontext():
        try:
            return _run(api, state_file, request, options, progress, restart)
        except KeyboardInterrupt:
            interrupted(api, state_file, progress, on_interrupt, how_to_continue)
            raise typer.Exit(130) from None
        except Unavailable:
            if state_file.read() is not None:
                progress.say(how_to_continue)
            raise


def _run(
    api: "RetryingClient",
    state_file: "StateFile",
    request: "RunRequest",
    options: "RunOptions",
    progress: "Progress",
    restart: bool,
) -> JSON:
    from tierline.cli.run.backfill.begin import (
        new_run,
        recovered_or_new,
        recovered_run,
        refuse_other_run,
    )
    from tierline.cli.run.backfill.results import is_csv
    from tierline.cli.run.backfill.run import Run

    state = state_file.read()
    if restart:
        new = new_run(api, request)
        return Run(api, state_file, new, options, progress).go(state or recovered_run(api, new))
    if state is None:
        new = recovered_or_new(api, request, progress)
        return Run(api, state_file, new, options, progress).go()
    refuse_other_run(state, request)
    summary = state.done
    if summary and summary["limit"] == options.limit and not options.retry_failed:
        out = Path(request.out)
        if is_csv(out) and summary.get("raw_csv", options.raw_csv) != options.raw_csv:
            progress.say("this run is done: writing OUT again with the other form of cells")
        elif out.exists():
            progress.say("this run is done; use --retry-failed or --restart to do more")
            return summary
        else:
            progress.say("this run is done and OUT is gone: writing it again")
    return Run(api, state_file, state, options, progress).go()


def _mapping(texts: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for text in texts:
        name, equals, column = text.partition("=")
        if not (name and equals and column):
            raise UsageError(f"--map needs FIELD=COLUMN, not {text!r}")
        if name in fields:
            raise UsageError(f"--map names {name} twice")
        fields[name] = column
    return fields


def _cap(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        cap = decimal(text.removeprefix("$"))
    except ValueError:
        cap = Decimal(-1)
    if not (cap.is_finite() and cap > 0):
        raise UsageError(f"--max-cost-usd needs an amount above 0, such as 2.50, not {text!r}")
    return cap


def _refuse_out(out: Path, file: Path) -> None:
    if out.name == "-" or (out.exists() and not out.is_file()):
        raise UsageError(f"--out: {out} is not a file; OUT must be a file")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out: there is no folder {out.absolute().parent}")
    if out.exists() and file.exists() and out.samefile(file):
        raise UsageError("--out is the same file as FILE")
    if file.is_dir() and out.resolve().is_relative_to(file.resolve()):
        raise UsageError(
            f"--out: {out} is inside the folder and would become a row; choose another place"
        )


def _print_summary(summary: JSON, as_json: bool) -> None:
    from tierline.cli.shared.output import line, note, print_json, usd

    if as_json:
        print_json(summary)
        return
    statuses = ", ".join(f"{number:,} {name}" for name, number in summary["statuses"].items())
    rows = "1 row" if summary["rows"] == 1 else f"{summary['rows']:,} rows"
    line(f"{rows}: {statuses or 'none'}")
    for name, number in summary["tiers"].items():
        line(f"  {name} answered {number:,}")
    reasons = summary.get("reasons") or {}  # an older release's state file has none
    for name, number in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
        line(f"  {name}: {number:,} without an answer")
    unknown = summary["unknown_cost_calls"]
    more = f", and {unknown:,} calls of unknown cost" if unknown else ""
    line(f"cost {usd(summary['cost_usd'])}{more}")
    line(f"wrote {summary['out']}")
    if summary["stopped"]:
        note("stopped at --max-cost-usd: the same command with a higher value continues")
