"""`tierline budgets`: what an account, its users and its sessions may spend."""

from decimal import Decimal
from typing import Annotated

import typer

from tierline.base.digits import decimal
from tierline.base.errors import UsageError
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List, set and remove budgets.")

Account = Annotated[str, typer.Option(metavar="NAME", help="Whose.")]


@app.command("list")
def list_(
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this account's.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Every budget, with the amount spent and reserved in the present day or month."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_lines, usd, when

    with connect(home) as api:
        answer = api.get("/v1/budgets", params={} if account is None else {"account": account})
    if as_json:
        print_json(answer)
        return
    print_lines(
        [
            *(Col("ID", "right"), Col("ACCOUNT", least=7), Col("OF", least=7), Col("EACH")),
            *(Col("LIMIT", "right"), Col("SPENT", "right"), Col("RESERVED", "right", rank=2)),
            *(Col("WHEN SPENT", least=10, rank=1), Col("RESETS", rank=3)),
        ],
        [
            (
                *(one["id"], one["account"]),
                one["scope"] if not one["key"] else f"{one['scope']} {one['key']}",
                one["period"],
                *(usd(one[name]) for name in ("limit_usd", "spent_usd", "reserved_usd")),
                "refuses" if one["hard"] else "first tier only",
                when(one["resets_at"]),
            )
            for one in answer["data"]
        ],
        empty="no budgets: accounts have no spending limit",
    )


@app.command("set")
def set_(
    limit: Annotated[str, typer.Argument(metavar="USD", help="Such as 50 or 2.50.")],
    period: Annotated[str, typer.Option("--per", metavar="day|month", help="The period, in UTC.")],
    account: Account = "default",
    user: Annotated[
        str | None, typer.Option(metavar="NAME|each", help="Of one user, or of each of them.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="NAME|each", help="Of one session, or of each.")
    ] = None,
    hard: Annotated[
        bool,
        typer.Option(
            "--hard", help="Refuse jobs once it is spent; by default they stay on the first tier."
        ),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Set a budget, or change the existing one of the same account, user or session, and period."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json, usd, when

    if user is not None and session is not None:
        raise UsageError("give --user or --session, not both")
    if period not in ("day", "month"):
        raise UsageError(f"--per must be day or month, not {period!r}")
    scope = "user" if user is not None else "session" if session is not None else "account"
    key = user or session or ""
    body = {
        "account": account,
        "scope": scope,
        "key": "" if key == "each" else key,
        "period": period,
        "limit_usd": amount(limit),
        "hard": hard,
    }
    with connect(home) as api:
        budget = api.post("/v1/budgets", json=body)
    if as_json:
        print_json(budget)
        return
    whose = {"account": account, "user": f"{account}, user {key}"}.get(
        scope, f"{account}, session {key}"
    )
    line(
        f"budget {budget['id']} of {whose}: {usd(budget['limit_usd'])} a {period}, "
        f"{usd(budget['spent_usd'])} of it spent, resets {when(budget['resets_at'])}"
    )
    for warning in budget.get("warnings") or ():
        note(f"warning: {warning}")


@app.command()
def remove(
    budget: Annotated[int, typer.Argument(metavar="ID", min=1)],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Remove a budget. It limits nothing from then on."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        api.delete(f"/v1/budgets/{budget}")
    if as_json:
        print_json({"id": str(budget), "removed": True})
        return
    line(f"budget {budget} is removed")


def amount(value: str) -> str:
    """USD as a decimal. Raises UsageError if it is not an amount."""
    try:
        number = decimal(value)
    except ValueError:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise UsageError(f"{value!r} is not an amount in USD, such as 2.50")
    return format(number, "f")
