"""`tierline jobs bulk`: one action on all jobs that match a filter."""

import sys
import time
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from tierline.base.errors import TierlineError, UsageError
from tierline.base.formats import many
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

app = command_group("Act on all jobs that match a filter; list, show and abort such actions.")

ACTIONS = ("retry", "cancel", "deeper-analysis", "remove-content")
PATH = "/v1/bulk-actions"
LOOK_S = 0.5

ActionId = Annotated[str, typer.Argument(metavar="ID", help="The action's id.")]


@app.command()
def start(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help=f"{', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}.")
    ],
    feature: Annotated[str | None, typer.Option(help="Only jobs of this feature.")] = None,
    tier: Annotated[str | None, typer.Option(help="Only jobs on this tier.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="queued, in_progress, completed, failed, cancelled or expired."),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Only jobs of this batch.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only with an attempt that ended so: schema, rule, …")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    session: Annotated[str | None, typer.Option(help="Only of this session.")] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE", help="Only with this in their metadata.")
    ] = None,
    escalated: Annotated[
        bool | None,
        typer.Option("--escalated/--not-escalated", help="Only those that left their first tier."),
    ] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Also jobs of drafts.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Act on at most so many jobs, the newest.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the jobs and estimate the cost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow it to its end; Ctrl-C leaves it on.")
    ] = True,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Count the jobs that match, ask, and begin the action. It runs on the server.

    Exit code 1 if it did not apply to some jobs, or was aborted.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json

    if action not in ACTIONS:
        raise UsageError(f"there is no action {action[:40]!r}: choose from {', '.join(ACTIONS)}")
    filters = {
        **{"feature": feature, "tier": tier, "status": status, "batch_id": batch},
        **{"verdict": verdict, "user": user, "session": session, "metadata": metadata},
        "escalated": escalated,
    }
    chosen: dict[str, JSON] = {name: value for name, value in filters.items() if value is not None}
    body: dict[str, JSON] = {
        "action": action.replace("-", "_"),
        "filter": {**chosen, "drafts": drafts},
    }
    if limit is not None:
        body["limit"] = limit
    with connect(home) as api:
        plan = api.post(PATH, json={**body, "dry_run": True})
        if dry_run:
            print_json(plan) if as_json else line(_in_words(plan))
            return
        if not yes:
            _confirm(plan)
        bulk_action = api.post(PATH, json=body)
        if wait:
            note(f"began {bulk_action['id']}")  # Ctrl-C leaves it on, and its id is needed then
            bulk_action = _followed(api, bulk_action)
    _show(bulk_action, as_json)
    raise typer.Exit(_exit_code(bulk_action))


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Actions in one page.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(help="The cursor of the next page, from the last page.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Bulk actions of your account, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, count, print_page, when

    params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    with connect(home) as api:
        page = api.get(PATH, params=params)
    print_page(
        page,
        [
            *(Col("ID", wrap=False), Col("ACTION"), Col("STATUS")),
            *(Col("DONE", "right"), Col("NOT DONE", "right"), Col("BEGUN", rank=2)),
        ],
        lambda one: (
            *(one["id"], one["action"].replace("_", " "), one["status"]),
            *(count(one["done"]), count(one["failed"]), when(one["created_at"])),
        ),
        empty="no bulk actions",
        as_json=as_json,
    )


@app.command()
def get(
    action_id: ActionId,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """One action: how far it is, and why it did not apply to some jobs.

    Exit code with --wait: 1 if it did not apply to some jobs, or was aborted.
    """
    from tierline.cli.shared.client import connect

    with connect(home) as api:
        bulk_action = api.get(_path(action_id))
        if wait:
            bulk_action = _followed(api, bulk_action)
    _show(bulk_action, as_json)
    raise typer.Exit(_exit_code(bulk_action) if wait else 0)


@app.command()
def abort(action_id: ActionId, home: Home = None, as_json: Json = False) -> None:
    """Stop an action before its next job. What it did stays."""
    from tierline.cli.shared.client import connect

    with connect(home) as api:
        bulk_action = api.post(f"{_path(action_id)}/abort")
    _show(bulk_action, as_json)


def _exit_code(bulk_action: JSON) -> int:
    return 1 if bulk_action["failed"] or bulk_action["status"] == "aborted" else 0


def _path(action_id: str) -> str:
    return f"{PATH}/{quote(action_id, safe='')}"


def _in_words(plan: JSON) -> str:
    """What the action would do, in a line."""
    over = "over " if plan["more"] else ""
    matched = many(plan["matched"], "job matches", "jobs match")
    words = f"{plan['action'].replace('_', ' ')}: {over}{matched}"
    if plan["limit"] is not None:
        words += f", it acts on at most {many(plan['limit'], 'job')}"
    if plan["action"] in ("retry", "deeper_analysis"):
        usd = plan["at_most_usd"]
        words += "; their cost is unknown" if usd is None else f"; new jobs cost at most {usd} USD"
    return words


def _confirm(plan: JSON) -> None:
    """Ask whether to go on. Raises UsageError without a terminal, TierlineError for a no."""
    from tierline.cli.shared.output import note

    if not sys.stdin.isatty():
        raise UsageError(f"{_in_words(plan)}; give --yes to begin, or --dry-run to see this only")
    note(_in_words(plan))
    if not typer.confirm("Begin?", err=True):
        raise TierlineError("nothing was begun")


def _followed(api: "Client", bulk_action: JSON) -> JSON:
    """Wait for the action to end; return it."""
    from tierline.cli.shared.bar import Bar

    title = bulk_action["action"].replace("_", " ")
    with Bar(0 if bulk_action["more"] else bulk_action["matched"], title) as bar:
        while bulk_action["status"] == "running":
            bar.show(bulk_action["done"] + bulk_action["failed"], bulk_action["failed"])
            time.sleep(LOOK_S)
            bulk_action = api.get(_path(bulk_action["id"]))
    return bulk_action


def _show(bulk_action: JSON, as_json: bool) -> None:
    from tierline.cli.shared.output import line, print_json

    if as_json:
        print_json(bulk_action)
        return
    action = bulk_action["action"].replace("_", " ")
    waits = f", waits for the {bulk_action['waits_for']}" if bulk_action["waits_for"] else ""
    line(f"{bulk_action['id']}: {action} is {bulk_action['status']}{waits}")
    line(f"{many(bulk_action['done'], 'job')} done, {bulk_action['failed']:,} not")
    for error in bulk_action["errors"]:
        line(f"  {error['count']:,} × {error['reason']}: {error['message']}")
