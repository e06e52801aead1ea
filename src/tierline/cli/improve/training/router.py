"""`tierline router`: trains a model that predicts, before the first tier is called, if it fails."""

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
        Col("USES"),
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
        line(f"{feature}: trained on {rows:,} inputs, not saved (--dry-run)")
    else:
        line(f"router {made['id']} of {feature}: trained on {rows:,} inputs, in use from now on")
    bad = rows - result["right_rows"]
    line(f"The first tier failed on {bad:,} of them. Tested on other rows than fitted on:")
    line()
    print_table(
        [Col("PREDICTS BY"), Col("AUROC", "right")],
        [
            ("this router", f"{quality['auroc']:.3f}"),
            *((name, f"{value:.3f}") for name, value in quality["baselines"].items()),
        ],
        empty="nothing",
    )
    line(
        f"Brier score of its probabilities: {quality['brier']:.4f}; of the mean alone: "
        f"{quality['brier_of_the_mean']:.4f}."
    )


ROUTER = Kind(
    name="router",
    command="router",
    noun="router",
    path="routers",
    columns=_columns,
    cells=_cells,
    none_yet="no router yet: the cold-start rules are used",
    show=_show,
)
app = commands(ROUTER, "Train, list and withdraw routers by complexity.")


@app.command("train")
def train_(
    feature: Feature,
    embeddings: Annotated[
        bool, typer.Option(help="Use the meaning of inputs, not only their form.")
    ] = True,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Learn from the first tier's earlier results on which inputs it would fail.

    The server trains; Ctrl-C ends only the waiting.
    """
    from tierline.cli.shared.client import connect

    options: dict[str, JSON] = {"embeddings": embeddings, "dry_run": dry_run}
    with connect(home) as api:
        train(ROUTER, api, feature, options, as_json=as_json)
