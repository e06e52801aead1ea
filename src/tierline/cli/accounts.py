"""`tierline accounts`: who owns keys and jobs, and what share of a queue each gets."""

from typing import Annotated

import typer

from tierline.cli.options import Home, Json, command_group
from tierline.errors import UsageError

app = command_group("Create, change and list accounts.")

Name = Annotated[str, typer.Argument(help="The account's name.")]
Weight = Annotated[
    int | None,
    typer.Option(min=1, max=100, help="Its share of a queue beside other accounts that wait."),
]


@app.command()
def create(name: Name, weight: Weight = None, home: Home = None, as_json: Json = False) -> None:
    """Make an account; 'tierline keys create --account NAME' then makes a key for it."""
    from tierline.cli.client import connect
    from tierline.cli.output import line, print_json

    body: dict[str, object] = {"name": name}
    if weight is not None:
        body["weight"] = weight
    with connect(home) as api:
        made = api.post("/v1/accounts", json=body)
    if as_json:
        print_json(made)
    else:
        line(f"account {made['name']}, weight {made['weight']}")


@app.command("set")
def set_(name: Name, weight: Weight = None, home: Home = None, as_json: Json = False) -> None:
    """Change an account."""
    from urllib.parse import quote

    from tierline.cli.client import connect
    from tierline.cli.output import line, print_json

    if weight is None:
        raise UsageError("nothing to change: say --weight N")
    with connect(home) as api:
        changed = api.patch(f"/v1/accounts/{quote(name, safe='')}", json={"weight": weight})
    if as_json:
        print_json(changed)
    else:
        line(f"account {changed['name']}, weight {changed['weight']}")


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """All accounts."""
    from tierline.cli.client import connect
    from tierline.cli.output import Col, print_json, print_table, when

    with connect(home) as api:
        answer = api.get("/v1/accounts")
    if as_json:
        print_json(answer)
        return
    print_table(
        [Col("ACCOUNT"), Col("WEIGHT", "right"), Col("CREATED")],
        [(item["name"], item["weight"], when(item.get("created_at"))) for item in answer["data"]],
        empty="no accounts",
    )
