"""`tierline batches`: list and show them, pause, resume and cancel one, continue its backfill."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tierline.base.errors import Forbidden, NotFound, UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List batches, show, pause, resume or cancel one, continue its backfill.")

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
            *(one["id"], one["feature"], _status(one), count(one["rows"])),
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
def pause(batch_id: BatchId, home: Home = None, as_json: Json = False) -> None:
    """Pause a batch: no waiting job begins until you resume it; running jobs end."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        batch = api.post(f"{_path(batch_id)}/pause")
    if as_json:
        print_json(batch)
    else:
        line(f"batch {batch['id']} is paused: running jobs end, and no more begin")
        line(f"to go on: tierline batches resume {batch['id']}")


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
    """Let a paused batch go on. If it is not paused, continue the backfill that it belongs to, with
    the options of its first run.
    """
    from tierline.cli.run.backfill.command import backfill

    if _end_pause(batch_id, home, as_json=as_json):
        return
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


def _end_pause(batch_id: str, home: Path | None, *, as_json: bool) -> bool:
    """Resume the batch if it is paused. False if it is not, or this key cannot see it."""
    from contextlib import suppress

    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        paused = False
        with suppress(Forbidden, NotFound):
            paused = api.get(_path(batch_id)).get("paused_at") is not None
        if not paused:
            return False
        batch = api.post(f"{_path(batch_id)}/resume")
    if as_json:
        print_json(batch)
    else:
        line(f"batch {batch['id']} goes on")
    return True


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
            ("status", _status(batch)),
            ("file", _file(batch) or None),
            ("rows", f"{count(batch['rows'])}, {count(batch['bad_rows'])} of them invalid"),
            ("jobs", ", ".join(_counted(batch["counts"])) or "none"),
            *((name, ", ".join(_counted(counts))) for name, counts in tiers),
            ("cost", usd(batch["cost_usd"]) + (f", and {unknown} unknown" if unknown else "")),
            ("opened", when(batch["created_at"])),
            ("ended", when(batch["completed_at"]) or None),
        ]
    )


def _status(batch: JSON) -> str:
    return f"{batch['status']}, paused" if batch.get("paused_at") else str(batch["status"])


def _counted(counts: JSON) -> Iterator[str]:
    return (f"{number:,} {name}" for name, number in counts.items() if number)


def _file(batch: JSON) -> str:
    return str((batch.get("metadata") or {}).get("backfill") or "")


def _path(batch_id: str) -> str:
    from urllib.parse import quote

    return f"/v1/batches/{quote(batch_id, safe='')}"
