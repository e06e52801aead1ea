"""`tierline feedback`: imports labels of jobs from a file, and draws samples to label."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import InvalidInput, Problem, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.csv_cells import RawCsv, Table
from tierline.cli.shared.options import Home, Json, command_group
from tierline.cli.shared.private_files import new_private

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

app = command_group("Import labels of jobs from a file, or draw a sample to label.")

AT_ONCE = 1_000  # labels in one request
_ITEM = re.compile(r"/items/([0-9]+)(/.*)?")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or JSONL, see docs/routing.md.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check the file; import nothing.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Import labels of many jobs. Each row has a job_id, and expected or correct.

    All rows are checked before the first one is imported.
    """
    from tierline.cli.improve.files.labels_file import read_labels
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json

    labels = read_labels(file)
    lines = [number for number, _ in labels]
    items = [item for _, item in labels]
    with connect(home) as api:
        _send(api, file, lines, items, dry_run=True)
        if not dry_run:
            imported = 0
            for chunk in _chunks(len(items)):
                try:
                    _send(api, file, lines, items, dry_run=False, only=chunk)
                except BaseException:
                    if imported:
                        note(
                            f"only the first {imported:,} rows were imported: import the file again"
                        )
                    raise
                imported = chunk.stop
    if as_json:
        print_json({"kept": 0 if dry_run else len(items), "checked": len(items)})
    else:
        line(f"{len(items):,} labels {'can be' if dry_run else 'were'} imported")


@app.command()
def sample(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    count: Annotated[int, typer.Option(min=1, max=5_000, help="How many, at most.")] = 300,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Only answers by these models, as calibrate --dry-run shows them."
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The tier; by default the first calibrated one."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Write to this file instead of to the terminal."),
    ] = None,
    raw_csv: RawCsv = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Draw random outcomes for people to label: a CSV to fill in and import.

    'calibrate --reference human' can use the sample only when all of it is labelled.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import note, print_json

    body: dict[str, JSON] = {"count": count}
    if models is not None:
        body["models"] = models
    if tier is not None:
        body["tier"] = tier
    if out is not None and out.exists():
        raise UsageError(f"{out} already exists: give another file")
    with connect(home) as api:
        outcomes = api.post(f"/v1/features/{feature}/label-sample", json=body)["data"]
    if as_json:
        print_json({"data": outcomes, "next_cursor": None})
        return
    shown = any("answer" in one for one in outcomes)
    names = ("job_id", "input", *(("answer",) if shown else ()), "expected")
    rows = [_to_label(one, shown=shown) for one in outcomes]
    if out is None:
        _write(Table(sys.stdout, raw=raw_csv), names, rows)
    else:
        with new_private(out) as sink:
            _write(Table(sink, raw=raw_csv), names, rows)
    note(f"{len(rows):,} outcomes drawn")


def _to_label(one: JSON, *, shown: bool) -> tuple[str, ...]:
    values = [one["input"], *([one.get("answer")] if shown else [])]
    return (one["job_id"], *(json.dumps(value, ensure_ascii=False) for value in values), "")


def _write(table: Table, names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    for row in (names, *rows):
        table.row(row)


def _chunks(count: int) -> list[range]:
    return [range(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]


def _send(
    api: "Client",
    file: Path,
    lines: list[int],
    items: list[JSON],
    *,
    dry_run: bool,
    only: range | None = None,
) -> None:
    """Send all items, or only those in `only`. Raises InvalidInput with lines of the file."""
    problems: list[Problem] = []
    left_out = 0
    for chunk in _chunks(len(items)) if only is None else [only]:
        body = {"items": [items[index] for index in chunk], "dry_run": dry_run}
        try:
            api.post("/v1/feedback", json=body)
        except InvalidInput as error:
            problems += [_with_line(one, file, lines, chunk) for one in error.problems]
            left_out += error.left_out
    if problems:
        raise InvalidInput(problems, left_out)


def _with_line(problem: Problem, file: Path, lines: list[int], chunk: range) -> Problem:
    match = _ITEM.fullmatch(problem.path)
    if match is None:
        return problem
    line = lines[chunk[int(match[1])]]
    return replace(problem, path=(match[2] or "").removeprefix("/"), line=line, source=str(file))
