"""`tierline models`: the models that a feature may name, and downloads of local models."""

from typing import Annotated, Any

import typer

from tierline.base.errors import UsageError
from tierline.catalogue import CLASSES
from tierline.catalogue.families import MARKET
from tierline.cli.shared.options import Home, Json, command_group

app = command_group("List models, and download local ones.")

WIDE = 110  # columns; a wider terminal gets more columns


@app.command("list")
def list_(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Only models with this text in their id or family."),
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", help="Only micro, small, mid or frontier models.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    used: Annotated[bool, typer.Option("--used", help="Only models that features use.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The models that a feature may name: price, end date, and whether they can be used here.

    Models of applied features come first, then the catalogue by class. --json has every fact, with
    its source.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import note, print_json

    if class_ is not None and class_ not in CLASSES:
        raise UsageError(f"there is no class {class_!r}; use one of {', '.join(CLASSES)}")
    with connect(home) as api:
        answer = api.get("/v1/models")
    models = [
        item
        for item in answer["data"]
        if (name is None or _has(item, name.lower()))
        and (class_ is None or item["class"] == class_)
        and (provider is None or (item["model"] or "").startswith(f"{provider}:"))
        and (item["features"] or not used)
    ]
    if as_json:
        print_json({"data": models})
        return
    _show(models)
    if models:
        bands = ", ".join(f"{one} {MARKET[one]}" for one in reversed(CLASSES))
        note("USD per million tokens, at the standard rate; unpriced: the price is not known.")
        note(f"Usual: {bands}.\nReal prices may be outside these bands.")


@app.command()
def fetch(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A local model's name; by default the larger one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a local model's file into the cache, once, and check its SHA-256.

    The cache is TIERLINE_MODEL_DIR, else ~/.cache/tierline. An interrupted download is continued.
    """
    from tierline.cli.shared.output import line, print_json
    from tierline.stack.local_models.models import LARGER, MODELS

    model_name = LARGER.name if name is None else name.removeprefix("local:")
    if model_name not in MODELS:
        raise UsageError(f"there is no local model {model_name!r}; use one of {', '.join(MODELS)}")
    from tierline.stack.local_models.fetch import fetch as fetch_model

    model = MODELS[model_name]
    path = fetch_model(model)
    if as_json:
        print_json({"model": f"local:{model.name}", "path": str(path), "sha256": model.sha256})
        return
    line(f"local:{model.name} is at {path}")
    line(f"sha256 {model.sha256}, the publisher's; licence {model.licence}")


def _show(models: list[dict[str, Any]]) -> None:
    from tierline.cli.shared.output import Col, console, print_lines, print_table

    wide = console().width >= WIDE
    order = {one: number for number, one in enumerate(CLASSES)}
    rows = sorted(
        models,
        key=lambda item: (not item["features"], order.get(item["class"], -1), _title(item)),
    )
    columns = [
        Col("MODEL", wrap=False),
        Col("CLASS"),
        *(Col("IN", "right"), Col("OUT", "right")),
        Col("ENDS", least=10),
        Col("KEY", rank=1),
    ]
    if wide:
        columns += [Col("CONTEXT", "right"), Col("USED BY, OR NOTES")]
    print_models = print_table if wide else print_lines  # a wide one wraps the notes
    print_models(
        columns,
        [
            (
                _title(item),
                item["class"] or "",
                *_price(item),
                _end(item),
                _key(item),
                *((_context(item), _notes(item)) if wide else ()),
            )
            for item in rows
        ],
        empty="no model matches",
    )


def _has(item: dict[str, Any], part: str) -> bool:
    names = (item["model"], item["family"], *item["aliases"])
    return any(part in one.lower() for one in names if one)


def _title(item: dict[str, Any]) -> str:
    title: str = item["model"] or f"({item['family']})"
    return title


def _price(item: dict[str, Any]) -> tuple[str, str]:
    price = item["price"]
    if item["model"] is None:
        return "", ""
    if price is None:
        return "unpriced", ""
    if "usd_per_hour" in price:
        return f"${price['usd_per_hour']}/h", ""
    return str(price["input_usd_per_mtok"]), str(price["output_usd_per_mtok"])


def _end(item: dict[str, Any]) -> str:
    if item["lifecycle"] == "retired":
        return f"ended {item['retires']}"
    return item["retires"] or ""


def _key(item: dict[str, Any]) -> str:
    if item.get("circuit_open"):
        return "circuit open"
    if item["configured"] is None:
        return ""
    return "set" if item["configured"] else "no"


def _context(item: dict[str, Any]) -> str:
    tokens = item["context_tokens"]
    return "" if tokens is None else f"{tokens:,}"


def _notes(item: dict[str, Any]) -> str:
    if item["features"]:
        notes = [", ".join(item["features"])]
    else:
        notes = [item["note"]] if item["note"] else []
    if item["retires"] and item["successor"]:
        notes.append(f"then {item['successor']}")
    if item["nearest"]:
        notes.append(f"nearest: {item['nearest']}")
    if item["self_hosted"] and item["configured"] is None:
        notes += [f"{server}:{one}" for server, one in item["self_hosted"].items()]
    if item["features"] and item["missing"]:
        notes.append(item["missing"])
    if item.get("circuit_open"):
        notes.insert(0, f"its circuit is open: {item['circuit_open']}")
    return "; ".join(notes)
