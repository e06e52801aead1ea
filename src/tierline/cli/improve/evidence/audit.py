"""`tierline audit`: the routing decisions of one job or of many jobs."""

import sys
from typing import Annotated

import typer

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.csv_cells import RawCsv, Table
from tierline.cli.shared.options import Home, Json

PAGE = 200  # jobs; the API's maximum per page
MOST_PAGES = 50  # of a search whose pages have few jobs
FIELDS = (
    *("at", "job_id", "account", "feature", "feature_version", "attempt", "policy"),
    *("choice", "reason", "threshold", "confidence", "model"),
    *("verdict", "verdict_reason", "outcome"),
)


def audit(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Only this job, with the tiers it could use."),
    ] = None,
    feature: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    tier: Annotated[str | None, typer.Option(metavar="NAME", help="Only this tier.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="Only this policy.")] = None,
    reason: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only decisions with this text in the reason."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Jobs of another account; needs an operator's key."),
    ] = None,
    all_accounts: Annotated[
        bool,
        typer.Option("--all-accounts", help="Jobs of all accounts; needs an operator's key."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only jobs submitted at or after this time."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Only jobs submitted before this time."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest jobs.")] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    raw_csv: RawCsv = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show for each job which tier was called, by which policy, why, and with what result."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import note, print_json

    filters = {
        "feature": feature,
        "tier": tier,
        "policy": policy,
        "reason": reason,
        "account": account,
        "all_accounts": "true" if all_accounts else None,
        "from": since,
        "to": until,
    }
    params = {name: value for name, value in filters.items() if value is not None}
    if account is not None and all_accounts:
        raise UsageError("give --account NAME or --all-accounts, not both")
    if as_csv and as_json:
        raise UsageError("give --csv or --json, not both")
    if raw_csv and not as_csv:
        raise UsageError("--raw-csv needs --csv")
    if job is not None and (params or as_csv):
        raise UsageError("with JOB, filters and --csv cannot be used")
    with connect(home) as api:
        if job is not None:
            route = api.get(f"/v1/jobs/{job}/decisions")
            if as_json:
                print_json(route)
            else:
                _show_route(route)
            return
        decisions: list[JSON] = []
        cursor: str | None = None
        left = limit
        for _ in range(MOST_PAGES):
            page = {**params, "limit": str(min(PAGE, left))}
            answer = api.get("/v1/decisions", params=page | ({"cursor": cursor} if cursor else {}))
            decisions += answer["data"]
            left -= len({one["job_id"] for one in answer["data"]})
            cursor = answer["next_cursor"]
            if cursor is None or left <= 0:
                break
    if cursor is not None and not as_json:
        note("older jobs were not read: raise --limit, or choose a time with --from and --to")
    if as_json:
        print_json({"data": decisions, "next_cursor": cursor})
    elif as_csv:
        table = Table(sys.stdout, raw=raw_csv)
        table.row(FIELDS)
        for one in decisions:
            table.row(one[name] for name in FIELDS)
    else:
        empty = "no decision yet" if cursor is None else "none of the newest jobs matches"
        _show(decisions, accounts=all_accounts, empty=empty)


def _show(
    decisions: list[JSON],
    *,
    of_one_job: bool = False,
    accounts: bool = False,
    empty: str = "no decision yet",
) -> None:
    from tierline.cli.shared.output import Col, print_lines, when

    print_lines(
        [
            Col("AT", rank=0 if of_one_job else 6),
            *(() if of_one_job else (Col("JOB", wrap=False),)),
            *((Col("ACCOUNT", least=8, rank=2),) if accounts else ()),
            *(() if of_one_job else (Col("FEATURE", least=10, rank=1),)),
            *(Col("TIER"), Col("POLICY", rank=5), Col("REASON", least=20, rank=4)),
            *(Col("VERDICT", least=6), Col("CONFIDENCE", "right", rank=7)),
            Col("OUTCOME", least=7, rank=2),
        ],
        [
            (
                when(one["at"]),
                *(() if of_one_job else (one["job_id"],)),
                *((one["account"],) if accounts else ()),
                *(() if of_one_job else (one["feature"],)),
                *(one["choice"], one["policy"], _reason(one), one["verdict"]),
                *(one["confidence"], (one["outcome"] or "open").replace("_", " ")),
            )
            for one in decisions
        ],
        empty=empty,
    )


def _reason(one: JSON) -> str:
    from tierline.cli.shared.output import one_line

    draw = (one["signals"] or {}).get("drawn")
    reason = one_line(one["reason"] or "", 90)
    return reason if draw is None else f"{reason} (drew {draw:.4f})"


def _show_route(route: JSON) -> None:
    from tierline.cli.shared.output import Col, line, print_pairs, print_table, usd

    print_pairs(
        [
            ("job", route["job_id"]),
            ("feature", f"{route['feature']} (version {route['feature_version']})"),
            ("status", route["status"]),
        ]
    )
    line()
    _show(route["decisions"], of_one_job=True)
    line()
    print_table(
        [Col("TIER"), Col("MODEL", wrap=False), Col("EXPECTED COST, AT MOST", "right")],
        [
            (one["tier"], one["model"], usd(one["expected_cost_usd"]))
            for one in route["alternatives"]
        ],
        empty="the feature allows no tier",
    )
