"""`tierline router`: trains a model that predicts, before the first tier is called, whether a later
tier would mend its answer.
"""

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
        *(Col(title, "right") for title in ("ROWS", "RIGHT", "APGR", "AUROC", "BRIER")),
        Col("USES"),
    ]


def _cells(one: JSON) -> Sequence[object]:
    return (
        *(f"{one['rows']:,}", f"{one['right_rows']:,}"),
        _number(one["quality"].get("apgr", {}), "router"),
        *(_number(one["quality"], name) for name in ("auroc", "brier")),
        "form and meaning" if one["with_embeddings"] else "form",
    )


def _number(quality: JSON, name: str) -> str:
    value = quality.get(name)
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _show(feature: str, result: JSON) -> None:
    from tierline.cli.shared.output import Col, line, print_table

    router, quality, rows = result["router"], result["quality"], result["rows"]
    if router is None:
        line(f"{feature}: trained on {rows:,} inputs, not saved (--dry-run)")
    else:
        line(f"router {router['id']} of {feature}: trained on {rows:,} inputs, in use from now on")
    bad = rows - result["right_rows"]
    line(f"A later tier mends {bad:,} of them. Tested on other rows than fitted on:")
    line()
    aurocs = {"router": quality["auroc"], **quality["baselines"]}
    titles = ("APGR", "OVER LENGTH", "OVER A COIN", "AUROC")
    print_table(
        [Col("PREDICTS BY"), *(Col(title, "right", wrap=False) for title in titles)],
        [
            (
                "this router" if name == "router" else name,
                _number(quality["apgr"], name),
                "" if name == "prompt length" else _lead(quality["over_length"], name),
                _lead(quality["over_coin"], name),
                _number(aurocs, name),
            )
            for name in ("router", "prompt length", "a coin", "TF-IDF", "kNN")
        ],
        empty="nothing",
    )
    line(
        "APGR: the share of what the later tiers mend that it keeps, on average over all shares of"
    )
    line("inputs sent to them. In brackets the paired 95% intervals.")
    line(f"It looks at: {', '.join(quality['members'])}.")
    line(
        f"Brier score of its probabilities: {quality['brier']:.4f}; of the mean alone: "
        f"{quality['brier_of_the_mean']:.4f}."
    )
    line(_advice(feature, router, quality))


def _lead(leads: JSON, name: str) -> str:
    lead = leads.get(name)
    if lead is None:
        return ""
    return f"{lead['mean']:+.3f} ({lead['low']:+.3f} to {lead['high']:+.3f})"


def _advice(feature: str, router: JSON, quality: JSON) -> str:
    """What to route by, and how."""
    if quality["recommended"] == "router":
        return "It is better than prompt length and than a coin: use it."
    withdraw = (
        ""
        if router is None
        else f"withdraw it with 'tierline router withdraw {feature} {router['id']}'"
    )
    longest = quality["longest"]
    if quality["recommended"] == "length" and longest is not None:
        steps = [withdraw, f"set 'longest: {longest}' under 'complexity' in the feature's file"]
        return "It is not better than prompt length: " + " and ".join(filter(None, steps)) + "."
    if quality["recommended"] == "length":
        steps = [withdraw, "try another 'max_risk'"]
        return (
            "It is not better than prompt length, and no length has a risk around 'max_risk': "
            + " or ".join(filter(None, steps))
            + "."
        )
    steps = [withdraw, "remove 'complexity' from the feature's file"]
    return "Nothing is better than a coin: " + " and ".join(filter(None, steps)) + "."


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
