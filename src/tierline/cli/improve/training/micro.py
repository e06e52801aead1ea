"""`tierline micro`: a classifier of a feature's own, which answers inside the worker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.json_text import JSON
from tierline.cli.improve.training.training import DryRun, Feature, Kind, commands, train
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.output import Col

STRANGERS = 0.05  # of the traffic: what a promise survives unless said

MaxError = Annotated[
    float | None,
    typer.Option(help="Of what it serves, the share that may be wrong: 0.03. Else none."),
]
ConfidenceOf = Annotated[float, typer.Option(help="With which that is promised.")]
Strangers = Annotated[
    float,
    typer.Option(help="Of the traffic, the share of unseen kinds that the promise survives."),
]


def options_of(
    max_error: float | None, confidence: float, strangers: float, *, dry_run: bool
) -> dict[str, JSON]:
    """The options of a micro model's training. Raises UsageError for a share outside its range."""
    from tierline.cli.improve.evidence.calibrate import within

    if max_error is not None:
        within("--max-error", max_error, 0.0001, 1.0)
    within("--confidence", confidence, 0.5, 0.9999)
    within("--strangers", strangers, 0.0, 0.9)
    return {
        "max_error": max_error,
        "confidence": confidence,
        "strangers": strangers,
        "dry_run": dry_run,
    }


def _columns() -> Sequence["Col"]:
    from tierline.cli.shared.output import Col

    return [Col(title, "right") for title in ("ROWS", "LABELS", "ACCURACY")]


def _cells(one: JSON) -> Sequence[object]:
    accuracy = one["right_rows"] / one["rows"]
    return (f"{one['rows']:,}", str(one["quality"].get("labels", "")), f"{accuracy:.1%}")


def _show(feature: str, result: JSON) -> None:
    from tierline.cli.improve.evidence.calibrate import show
    from tierline.cli.shared.output import line

    made, quality = result["micro_model"], result["quality"]
    name = "a micro model" if made is None else f"micro model {made['id']}"
    line(
        f"{name} of {feature}: trained on {result['rows']:,} inputs of {quality['labels']} labels"
        + (", not kept (--dry-run)" if made is None else ", answers from now on")
    )
    line(f"Right on {quality['accuracy']:.1%} of inputs that its head was not fitted on.")
    if quality["held_out"]:
        line(
            f"Of {quality['held_out']:,} that were kept from training, and stand for all traffic, "
            f"{quality['held_out_accuracy']:.1%}; {quality['novel']:,} more were too unlike the "
            "rest to be answered."
        )
    else:
        line("None of its inputs stands for all traffic, so that nothing can be promised yet.")
    if made is None:
        return
    line()
    if made["calibration"] is None:
        line(
            "Nothing is promised: all that it says escalates. Give --max-error, or calibrate it "
            f"on what it says from now on: tierline calibrate {feature} --max-error 0.03"
        )
        return
    show(made["calibration"])
    if quality["strangers"]:
        line(
            f"The promise survives up to {quality['strangers']:.0%} of inputs of a kind that it "
            "never saw."
        )


MICRO_MODEL = Kind(
    name="micro_model",
    command="micro",
    noun="micro model",
    path="micro-models",
    columns=_columns,
    cells=_cells,
    none_yet="no micro model yet: its tier passes every job on",
    show=_show,
)
app = commands(MICRO_MODEL, "Train, list and withdraw the classifier that answers in a micro tier.")


@app.command("train")
def train_(
    feature: Feature,
    max_error: MaxError = None,
    confidence: ConfidenceOf = 0.95,
    strangers: Strangers = STRANGERS,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Learn the labels that people or the last tier gave, and promise how seldom it errs.

    Without --max-error nothing is promised: all that it says escalates until it is calibrated. The
    server trains; Ctrl-C leaves it at work.
    """
    from tierline.cli.shared.client import connect

    options = options_of(max_error, confidence, strangers, dry_run=dry_run)
    with connect(home) as api:
        train(MICRO_MODEL, api, feature, options, as_json=as_json)
