"""`tierline models`: which models the applied features name, and fetching local ones."""

from typing import Annotated

import typer

from tierline.cli.options import Home, Json, command_group
from tierline.errors import UsageError

app = command_group("Which models are used, and fetching local ones.")


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """The models that applied features name: whether each can be used, and its price."""
    from tierline.cli.client import connect
    from tierline.cli.output import Col, print_json, print_table

    with connect(home) as api:
        answer = api.get("/v1/models")
    if as_json:
        print_json(answer)
        return
    print_table(
        [
            *(Col("MODEL", wrap=False), Col("FEATURES"), Col("STATE")),
            *(Col("USD PER 1M IN", "right"), Col("OUT", "right")),
        ],
        [
            (
                item["model"],
                " ".join(item.get("features") or []),
                item.get("missing") or "configured",
                *_price(item.get("price")),
            )
            for item in answer["data"]
        ],
        empty="no applied feature names a model yet",
    )


@app.command()
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="A local model's name; the larger one unless said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a local model's file into the cache, once; its sha256 decides whether it is right.

    The cache is TIERLINE_MODEL_DIR, else ~/.cache/tierline. An interrupted fetch goes on.
    """
    from tierline.cli.output import line, print_json
    from tierline.stack.models import LARGER, MODELS

    wanted = LARGER.name if name is None else name.removeprefix("local:")
    if wanted not in MODELS:
        raise UsageError(f"no local model is called {wanted!r}; known: {', '.join(MODELS)}")
    from tierline.stack.fetch import fetch as fetch_model

    model = MODELS[wanted]
    path = fetch_model(model)
    if as_json:
        print_json({"model": f"local:{model.name}", "path": str(path), "sha256": model.sha256})
        return
    line(f"local:{model.name} is at {path}")
    line(f"sha256 {model.sha256}, as its publisher gives it; licence {model.licence}")


def _price(price: object) -> tuple[str, str]:
    if not isinstance(price, dict):
        return "unknown", "unknown"
    return str(price["input_usd_per_mtok"]), str(price["output_usd_per_mtok"])
