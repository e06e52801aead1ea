"""`tierline prices`: the operator's own prices, which take precedence over the public ones."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from tierline.base.digits import decimal
from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List and set your own prices of models.")


def _rate(tokens: str) -> Any:
    return typer.Option(metavar="USD", help=f"For a million tokens of {tokens}.")


@app.command("list")
def list_(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only of this provider:model.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Your own prices, the newest first. `models list` shows the price in force of each model."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, note, print_json, print_table, when

    with connect(home) as api:
        answer = api.get("/v1/prices", params={} if model is None else {"model": model})
    if as_json:
        print_json(answer)
        return
    print_table(
        [
            *(Col("MODEL", wrap=False), Col("SERVICE TIER"), Col("SINCE"), Col("")),
            *(Col(title, "right") for title in ("IN", "CACHED", "WRITE", "OUT", "HOUR")),
            Col("NOTE"),
        ],
        [
            (
                item["model"],
                item["service_tier"] or "standard",
                when(item["since"]),
                "in force" if item["in_force"] else "",
                *_cells(item["price"]),
                item["note"],
            )
            for item in answer["data"]
        ],
        empty="no own prices: the public ones apply",
    )
    edition = answer["list"]
    note(
        f"USD per million tokens. Public prices: {edition['source']} {edition['version']}, compiled"
        f" {edition['compiled_on']}."
    )


@app.command("set")
def set_(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="provider:model, exactly as features name it.")
    ],
    input_: Annotated[
        str | None, typer.Option("--input", metavar="USD", help="For a million tokens of input.")
    ] = None,
    output: Annotated[str | None, _rate("output, reasoning included")] = None,
    cached: Annotated[
        str | None, _rate("input read from a cache; by default the input's price")
    ] = None,
    write_5m: Annotated[str | None, _rate("input kept in a cache for five minutes")] = None,
    write_1h: Annotated[str | None, _rate("input kept in a cache for an hour")] = None,
    per_hour: Annotated[
        str | None,
        typer.Option(metavar="USD", help="Per hour of your own server, instead of token prices."),
    ] = None,
    tokens_per_s: Annotated[
        float | None,
        typer.Option(min=0, help="With --per-hour: tokens a second of the busy server."),
    ] = None,
    measured_hours: Annotated[
        float | None,
        typer.Option(min=0, help="With --per-hour: measure it from the calls of so many hours."),
    ] = None,
    service_tier: Annotated[
        str, typer.Option(help="The service tier; by default the standard one.")
    ] = "",
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it begins to apply; by default in ten seconds."),
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="End your own price; the public one applies again.")
    ] = False,
    note: Annotated[str, typer.Option(help="The reason, for later readers.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Set a model's price from a given time on. The cost of past calls does not change."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json, when

    rates = {
        "input_usd_per_mtok": input_,
        "output_usd_per_mtok": output,
        "cached_input_usd_per_mtok": cached,
        "cache_write_5m_usd_per_mtok": write_5m,
        "cache_write_1h_usd_per_mtok": write_1h,
    }
    token_prices = {name: _amount(value) for name, value in rates.items() if value is not None}
    price: JSON = None
    if withdraw:
        if token_prices or per_hour is not None:
            raise UsageError("--withdraw does not take a price")
    elif per_hour is not None:
        if token_prices:
            raise UsageError("give token prices or --per-hour, not both")
        price = {"usd_per_hour": _amount(per_hour)}
        if tokens_per_s is not None:
            price["tokens_per_s"] = tokens_per_s
        if measured_hours is not None:
            price["measured_hours"] = measured_hours
    elif input_ is None or output is None:
        raise UsageError("give --input and --output, or --per-hour, or --withdraw (see --help)")
    else:
        price = token_prices
    body: dict[str, JSON] = {
        "model": model,
        "price": price,
        "service_tier": service_tier,
        "note": note,
    }
    if since is not None:
        body["since"] = since
    with connect(home) as api:
        answer = api.post("/v1/prices", json=body)
    if as_json:
        print_json(answer)
        return
    applied = answer["price"]
    new_price = "its public price, if it has one" if applied is None else _in_words(applied)
    tier = f" ({answer['service_tier']})" if answer["service_tier"] else ""
    line(f"{model}{tier} costs {new_price} from {when(answer['since'])} UTC on")


def _cells(price: JSON) -> tuple[str, ...]:
    if not isinstance(price, dict):
        return ("withdrawn", "", "", "", "")
    input_rate = price["input_usd_per_mtok"]
    writes = (price.get(f"cache_write_{span}_usd_per_mtok") for span in ("5m", "1h"))
    return (
        input_rate,
        _rate_in_words(price.get("cached_input_usd_per_mtok", input_rate)),
        " ".join(one for one in writes if one),
        price["output_usd_per_mtok"],
        price.get("usd_per_hour", ""),
    )


def _in_words(price: dict[str, str]) -> str:
    if "usd_per_hour" in price:
        return f"${price['usd_per_hour']} an hour"
    input_rate, output_rate = price["input_usd_per_mtok"], price["output_usd_per_mtok"]
    return f"${input_rate} in and ${output_rate} out per million tokens"


def _rate_in_words(rate: str | None) -> str:
    return "unknown" if rate is None else rate


def _amount(value: str) -> str:
    try:
        amount = decimal(value)
    except ValueError:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise UsageError(f"{value!r} is not an amount in USD, such as 0.10")
    return value
