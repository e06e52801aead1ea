"""`tierline plans`: named sets of budgets and tier limits for accounts."""

from typing import Annotated

import typer

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.operate.budgets import amount
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List and set plans, and put accounts on them.")

_WHO = ("account", "user", "session")


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """Every plan, with how many accounts are on it."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table

    with connect(home) as api:
        answer = api.get("/v1/plans")
    if as_json:
        print_json(answer)
        return
    print_table(
        [Col("PLAN"), Col("TIERS"), Col("BUDGETS"), Col("ACCOUNTS", "right")],
        [
            (
                one["name"],
                "the first only" if one["first_tier_only"] else "all",
                ", ".join(_in_words(budget) for budget in one["budgets"]) or "none",
                one["accounts"],
            )
            for one in answer["data"]
        ],
        empty="no plan yet",
    )


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    first_tier_only: Annotated[
        bool, typer.Option("--first-tier-only", help="Its accounts may not escalate.")
    ] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[WHO:]USD/day|month[/hard]",
            help="Per account, or each user or session: 50/month, user:0.2/day, 5/day/hard.",
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Set a plan. Accounts on it have its budgets from then on."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    body = {
        "name": name,
        "first_tier_only": first_tier_only,
        "budgets": [_budget(one) for one in budget or ()],
    }
    with connect(home) as api:
        plan = api.post("/v1/plans", json=body)
    if as_json:
        print_json(plan)
        return
    tiers = "the first tier only" if plan["first_tier_only"] else "all tiers"
    budgets = ", ".join(_in_words(one) for one in plan["budgets"]) or "no budget"
    line(f"plan {name}: {tiers}, {budgets}")


@app.command()
def assign(
    name: Annotated[str, typer.Argument(metavar="NAME|none")],
    account: Annotated[str, typer.Option(metavar="NAME", help="The account to put on the plan.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put an account on a plan, or remove it from its plan."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    plan = None if name == "none" else name
    with connect(home) as api:
        account_plan = api.request("PUT", f"/v1/accounts/{account}/plan", json={"plan": plan})
    if as_json:
        print_json(account_plan)
        return
    line(f"{account} is on {'no plan' if plan is None else f'the plan {plan}'}")


def _budget(text: str) -> JSON:
    """One --budget. Raises UsageError."""
    who, colon, rest = text.partition(":")
    scope, parts = (who, rest.split("/")) if colon else ("account", text.split("/"))
    if (
        scope not in _WHO
        or len(parts) not in (2, 3)
        or parts[1] not in ("day", "month")
        or parts[2:] not in ([], ["hard"])
    ):
        raise UsageError(
            f"--budget {text!r}: write it as [account:|user:|session:]USD/day|month[/hard], such "
            "as user:0.2/day"
        )
    return {
        "scope": scope,
        "period": parts[1],
        "limit_usd": amount(parts[0]),
        "hard": len(parts) == 3,
    }


def _in_words(one: JSON) -> str:
    from tierline.cli.shared.output import usd

    whose = "" if one["scope"] == "account" else f" each {one['scope']}"
    return f"{usd(one['limit_usd'])} a {one['period']}{whose}{', hard' if one['hard'] else ''}"
