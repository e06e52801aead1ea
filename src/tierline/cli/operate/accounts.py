"""`tierline accounts`: the owners of keys and jobs, their share of a queue, and their limits."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tierline.base.errors import UsageError
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("Create, change and list accounts.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
Weight = Annotated[
    int | None,
    typer.Option(min=1, max=100, help="Its weight in a queue, relative to other waiting accounts."),
]
MaxQueuedJobs = Annotated[
    str | None,
    typer.Option(metavar="N|default", help="Jobs that may wait; further submissions get 429."),
]
MaxJobsInProgress = Annotated[
    str | None,
    typer.Option(metavar="N|default", help="Jobs that may run at once; the others wait."),
]
MaxRequestsPerS = Annotated[
    str | None,
    typer.Option(metavar="N|default", help="Requests a second to each API process."),
]
MaxBodyBytesPerS = Annotated[
    str | None,
    typer.Option(metavar="N|default", help="Bytes of request bodies a second to each API process."),
]
DEFAULT = "default"
COLUMNS = {
    "QUEUED": "max_queued_jobs",
    "IN PROGRESS": "max_jobs_in_progress",
    "REQUESTS/S": "max_requests_per_s",
    "BYTES/S": "max_body_bytes_per_s",
}


@app.command()
def create(
    name: Name,
    weight: Weight = None,
    max_queued_jobs: MaxQueuedJobs = None,
    max_jobs_in_progress: MaxJobsInProgress = None,
    max_requests_per_s: MaxRequestsPerS = None,
    max_body_bytes_per_s: MaxBodyBytesPerS = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make an account; 'tierline keys create --account NAME' then makes a key for it.

    All 'tierline accounts' commands need a key with the scope operator.
    """
    from tierline.cli.shared.client import connect

    body = _request_body(
        weight=weight,
        max_queued_jobs=max_queued_jobs,
        max_jobs_in_progress=max_jobs_in_progress,
        max_requests_per_s=max_requests_per_s,
        max_body_bytes_per_s=max_body_bytes_per_s,
    )
    with connect(home) as api:
        account = api.post("/v1/accounts", json={"name": name, **body})
    _show(account, as_json=as_json)


@app.command("set")
def set_(
    name: Name,
    weight: Weight = None,
    max_queued_jobs: MaxQueuedJobs = None,
    max_jobs_in_progress: MaxJobsInProgress = None,
    max_requests_per_s: MaxRequestsPerS = None,
    max_body_bytes_per_s: MaxBodyBytesPerS = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Change an account; 'default' sets a limit back to the installation's default."""
    from urllib.parse import quote

    from tierline.cli.shared.client import connect

    body = _request_body(
        weight=weight,
        max_queued_jobs=max_queued_jobs,
        max_jobs_in_progress=max_jobs_in_progress,
        max_requests_per_s=max_requests_per_s,
        max_body_bytes_per_s=max_body_bytes_per_s,
    )
    if not body:
        raise UsageError("nothing to change: give --weight N, or a limit (see --help)")
    with connect(home) as api:
        changed = api.patch(f"/v1/accounts/{quote(name, safe='')}", json=body)
    _show(changed, as_json=as_json)


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """All accounts."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table, when

    with connect(home) as api:
        answer = api.get("/v1/accounts")
    if as_json:
        print_json(answer)
        return
    print_table(
        [
            Col("ACCOUNT"),
            *(Col(title, "right") for title in ("WEIGHT", *COLUMNS)),
            Col("CREATED"),
        ],
        [
            (
                item["name"],
                item["weight"],
                *(_limit(item.get(name)) for name in COLUMNS.values()),
                when(item.get("created_at")),
            )
            for item in answer["data"]
        ],
        empty="no accounts",
    )


def _request_body(weight: int | None, **limits: str | None) -> dict[str, int | None]:
    """The options in the API's form. Raises UsageError for an invalid limit."""
    body: dict[str, int | None] = {} if weight is None else {"weight": weight}
    for name, value in limits.items():
        if value is None:
            continue
        if value != DEFAULT and not (value.isascii() and value.isdigit()):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option}: a whole number from 1, or '{DEFAULT}', not {value!r}")
        body[name] = None if value == DEFAULT else int(value)
    return body


def _show(account: Mapping[str, Any], *, as_json: bool) -> None:
    from tierline.cli.shared.output import line, print_json

    if as_json:
        print_json(account)
        return
    own = [f"{name} {account[name]}" for name in COLUMNS.values() if account.get(name) is not None]
    line(", ".join([f"account {account['name']}", f"weight {account['weight']}", *own]))


def _limit(value: int | None) -> str:
    return DEFAULT if value is None else f"{value:,}"
