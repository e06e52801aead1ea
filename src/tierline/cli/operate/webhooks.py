"""`tierline webhooks`: the endpoints of an account, its deliveries, and sending one again."""

from typing import Annotated
from urllib.parse import quote

import typer

from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List webhook endpoints and deliveries, and send a delivery again.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id.")]
CursorOption = Annotated[
    str | None, typer.Option(help="The cursor of the next page, from the last page.")
]


@app.command("list")
def list_(cursor: CursorOption = None, home: Home = None, as_json: Json = False) -> None:
    """Webhook endpoints of your account, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_page, when

    with connect(home) as api:
        page = api.get("/v1/webhook-endpoints", params={"cursor": cursor} if cursor else {})
    print_page(
        page,
        [
            *(Col("ID", wrap=False), Col("URL", least=20), Col("STATE", least=10)),
            *(Col("EVENTS", least=12, rank=2), Col("CREATED", rank=1)),
        ],
        lambda one: (
            *(
                one["id"],
                one["url"],
                f"off: {one['disabled_reason']}" if one["disabled"] else "on",
            ),
            *(" ".join(one["events"]) or "all", when(one["created_at"])),
        ),
        empty="no webhook endpoints",
        as_json=as_json,
    )


@app.command()
def deliveries(
    status: Annotated[
        str | None, typer.Option(help="Only those that are pending, delivered or failed.")
    ] = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Only of this job.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="ID", help="Only to this endpoint.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Deliveries in one page.")] = 20,
    cursor: CursorOption = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Deliveries, the newest first, with the result of the last try."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_page, when

    filters = {
        "status": status,
        "job_id": job,
        "endpoint_id": endpoint,
        "limit": limit,
        "cursor": cursor,
    }
    with connect(home) as api:
        page = api.get(
            "/v1/webhook-deliveries", params={k: v for k, v in filters.items() if v is not None}
        )
    print_page(
        page,
        [
            *(Col("ID", wrap=False), Col("EVENT", least=10), Col("STATUS"), Col("TRIES", "right")),
            *(Col("LAST", least=6, rank=1), Col("URL", least=20, rank=2), Col("CREATED", rank=3)),
        ],
        lambda one: (
            *(one["id"], one["event"], one["status"], one["tries"]),
            *(_last(one), one["url"], when(one["created_at"])),
        ),
        empty="no webhook deliveries",
        as_json=as_json,
    )


@app.command()
def resend(delivery_id: Id, home: Home = None, as_json: Json = False) -> None:
    """Send a webhook again: the same id and bytes, signed anew."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        delivery = api.post(f"/v1/webhook-deliveries/{quote(delivery_id, safe='')}/resend")
    if as_json:
        print_json(delivery)
    else:
        line(f"{delivery['id']} to {delivery['url']} is {delivery['status']}: due at once")


def _last(delivery: JSON) -> str:
    """The result of the last try."""
    if delivery["last_error"]:
        return str(delivery["last_error"])
    status = delivery["last_status"]
    return "" if status is None else f"HTTP {status}"
