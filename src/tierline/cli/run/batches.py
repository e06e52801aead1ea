"""`tierline batches`: list batches, show one, cancel one, and continue the backfill of one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tierline.base.errors import Forbidden, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List batches, show or cancel one, and resume its backfill.")

BatchId = Annotated[str, typer.Argument(metavar="ID", help="The batch's id.")]
ENDED = ("completed", "cancelled")
STATE = ".state.json"


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Batches in one page.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(help="The cursor of the next page, from the last page.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Batches of your account, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, count, one_line, print_page, when

    params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    with connect(home) as api:
        page = api.get("/v1/batches", params=params)
    print_page(
        page,
        [
            *(Col("ID", wrap=False), Col("FEATURE", least=12), Col("STATUS"), Col("ROWS", "right")),
            *(Col("OPENED", rank=2), Col("FILE", least=12, rank=1)),
        ],
        lambda one: (
            *(one["id"], one["feature"], one["status"], count(one["rows"])),
            *(when(one["created_at"]), one_line(_file(one), 40)),
        ),
        empty="no batches",
        as_json=as_json,
    )


@app.command()
def get(batch_id: BatchId, home: Home = None, as_json: Json = False) -> None:
    """One batch: its state, its jobs by status and tier, and its cost."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    with connect(home) as api:
        batch = api.get(_path(batch_id))
    if as_json:
        print_json(batch)
    else:
        _show(batch)


@app.command()
def cancel(batch_id: BatchId, home: Home = None, as_json: Json = False) -> None:
    """Cancel a batch: its waiting jobs end, and its running ones are asked to stop.

    Exit code 1 if it had ended before.
    """
    from contextlib import suppress

    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        before = None
        with suppress(Forbidden):  # a key that may submit and not read
            before = api.get(_path(batch_id))["status"]
        ended = before in ENDED
        batch = api.get(_path(batch_id)) if ended else api.post(f"{_path(batch_id)}/cancel")
    if as_json:
        print_json(batch)
    elif ended:
        line(f"batch {batch['id']} had ended: it is {batch['status']}")
    else:
        line(f"batch {batch['id']} is {batch['status']}: running jobs end, and no more begin")
    raise typer.Exit(1 if ended else 0)


@app.command()
def resume(
    batch_id: BatchId,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="OUT",
            help="The OUT of its backfill; by default it is searched for in this folder.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run rows that ended without an answer again."),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Continue the backfill that this batch belongs to, with the options of its first run."""
    from tierline.cli.run.backfill.command import backfill

    request = _stored(batch_id, out)
    backfill(
        file=Path(request["file"]),
        feature=request["feature"],
        out=Path(request["out"]),
        mapping=[f"{name}={column}" for name, column in request["mapping"].items()],
        id_column=request["id_column"],
        encoding=request.get("encoding"),
        retry_failed=retry_failed,
        home=home,
        as_json=as_json,
    )


def _stored(batch_id: str, out: Path | None) -> JSON:
    """The options in the state file of the batch's backfill. Raises UsageError if there is none."""
    folder = Path() if out is None else out.parent
    name = f"*{STATE}" if out is None else out.name + STATE
    for path in sorted(folder.glob(name)):
        try:
            state = json.loads(path.read_text())
            if any(one["id"] == batch_id for one in state["batches"]):
                return state["asked"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another program's file
    problem = f"{folder.resolve()} has no state file" if out is None else f"{out}{STATE} is not"
    raise UsageError(
        f"{problem} of a backfill with batch {batch_id}: run this in the folder of its OUT, or "
        "give --out OUT"
    )


def _show(batch: JSON) -> None:
    from tierline.cli.shared.output import count, print_pairs, usd, when

    unknown = batch["unknown_cost_calls"]
    tiers = batch["tiers"].items()
    print_pairs(
        [
            ("id", batch["id"]),
            ("feature", f"{batch['feature']} (version {batch['feature_version']})"),
            ("status", batch["status"]),
            ("file", _file(batch) or None),
            ("rows", f"{count(batch['rows'])}, {count(batch['bad_rows'])} of them invalid"),
            ("jobs", ", ".join(_counted(batch["counts"])) or "none"),
            *((name, ", ".join(_counted(counts))) for name, counts in tiers),
            ("cost", usd(batch["cost_usd"]) + (f", and {unknown} unknown" if unknown else "")),
            ("opened", when(batch["created_at"])),
            ("ended", when(batch["completed_at"]) or None),
        ]
    )


def _counted(counts: JSON) -> Iterator[str]:
    return (f"{number:,} {name}" for name, number in counts.items() if number)


def _file(batch: JSON) -> str:
    return str((batch.get("metadata") or {}).get("backfill") or "")


def _path(batch_id: str) -> str:
    from urllib.parse import quote

    return f"/v1/batches/{quote(batch_id, safe='')}"
