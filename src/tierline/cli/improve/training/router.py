"""`tierline router`: what tells, before the first tier is asked, whether it would fail."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.json_text import JSON
from tierline.cli.improve.training.training import DryRun, Feature, Kind, commands, train
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.output import Col


def _columns() -> Sequence["Col"]:
    from tierline.cli.shared.output import Col

    return [
        *(Col(title, "right") for title in ("ROWS", "RIGHT", "AUROC", "BRIER")),
        Col("LOOKS AT"),
    ]


def _cells(one: JSON) -> Sequence[object]:
    return (
        *(f"{one['rows']:,}", f"{one['right_rows']:,}"),
        *(_number(one["quality"], name) for name in ("auroc", "brier")),
        "form and meaning" if one["with_embeddings"] else "form",
    )


def _number(quality: JSON, name: str) -> str:
    value = quality.get(name)
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _show(feature: str, result: JSON) -> None:
    from tierline.cli.shared.output import Col, line, print_table

    made, quality, rows = result["router"], result["quality"], result["rows"]
    if made is None:
        line(f"{feature}: trained on {rows:,} inputs, not kept (--dry-run)")
    else:
        line(f"router {made['id']} of {feature}: trained on {rows:,} inputs, holds from now on")
    bad = rows - result["right_rows"]
    line(f"{bad:,} of them were handled badly. Judged on other rows than fitted on:")
    line()
    print_table(
        [Col("TELLS BY"), Col("AUROC", "right")],
        [
            ("this router", f"{quality['auroc']:.3f}"),
            *((name, f"{value:.3f}") for name, value in quality["baselines"].items()),
        ],
        empty="nothing",
    )
    line(
        f"Brier score of its chances {quality['brier']:.4f}; of always the mean "
        f"{quality['brier_of_the_mean']:.4f}."
    )


ROUTER = Kind(
    name="router",
    command="router",
    noun="router",
    path="routers",
    columns=_columns,
    cells=_cells,
    none_yet="no router yet: the rules of a cold start hold",
    show=_show,
)
app = commands(ROUTER, "Train, list and withdraw routers by complexity.")


@app.command("train")
def train_(
    feature: Feature,
    embeddings: Annotated[
        bool, typer.Option(help="Look at the meaning of inputs, not only at their form.")
    ] = True,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Learn from what the first tier handled well or badly which inputs it would fail on.

    The server trains; Ctrl-C leaves it at work.
    """
    from tierline.cli.shared.client import connect

    options: dict[str, JSON] = {"embeddings": embeddings, "dry_run": dry_run}
    with connect(home) as api:
        train(ROUTER, api, feature, options, as_json=as_json)
