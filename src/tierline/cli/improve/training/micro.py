"""`tierline micro`: trains a feature's own classifier, which runs inside the worker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.improve.training.training import DryRun, Feature, Kind, commands, train
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from tierline.cli.shared.output import Col

STRANGERS = 0.05  # default share of traffic with unseen kinds of input that the promise allows for

MaxError = Annotated[
    float | None,
    typer.Option(
        help="The largest share of served answers that may be wrong, such as 0.03. "
        "Without it, nothing is promised."
    ),
]
ConfidenceOf = Annotated[float, typer.Option(help="The confidence of that promise.")]
Strangers = Annotated[
    float,
    typer.Option(help="The share of traffic with unseen kinds of input that the promise allows."),
]


def options_of(
    max_error: float | None, confidence: float, strangers: float, *, dry_run: bool
) -> dict[str, JSON]:
    """The options of a micro model's training. Raises UsageError for a share outside its range."""
    from tierline.cli.shared.amounts import within

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
    from tierline.cli.improve.evidence.calibration_view import show
    from tierline.cli.shared.output import line

    micro_model, quality = result["micro_model"], result["quality"]
    name = "a micro model" if micro_model is None else f"micro model {micro_model['id']}"
    line(
        f"{name} of {feature}: trained on {result['rows']:,} inputs of {quality['labels']} labels"
        + (", not saved (--dry-run)" if micro_model is None else ", in use from now on")
    )
    line(f"Accuracy on inputs that its head was not fitted on: {quality['accuracy']:.1%}.")
    if quality["held_out"]:
        line(
            f"Accuracy on {quality['held_out']:,} held-out inputs that represent all traffic: "
            f"{quality['held_out_accuracy']:.1%}. {quality['novel']:,} more were too unlike the "
            "rest to be answered."
        )
        for split in quality.get("splits", ()):
            line(_split(split))
    else:
        line("None of its inputs represents all traffic, so nothing can be promised yet.")
    if micro_model is None:
        return
    line()
    if micro_model["calibration"] is None:
        line(
            "Nothing is promised: all its answers escalate. Give --max-error, or calibrate it "
            f"later on its own answers: tierline calibrate {feature} --max-error 0.03"
        )
        return
    show(micro_model["calibration"])
    if quality["strangers"]:
        line(
            f"The promise holds with up to {quality['strangers']:.0%} of inputs of kinds that it "
            "has never seen."
        )


def _split(split: JSON) -> str:
    """The result of one split of the held-out inputs."""
    text = f"Split by {split['by']}: {split['wrong']:,} of {split['inputs']:,} answers are wrong"
    if split["served"]:
        text += f"; of {split['served']:,} that would be served, {split['served_wrong']:,}"
    elif split["served"] is not None:
        text += "; none would be served"
    return f"{text}. {split['novel']:,} more are novel."


NEAR_DUPLICATES = "near-duplicates"
SPLITS = (NEAR_DUPLICATES, "meaning")
SplitBy = Annotated[
    str,
    typer.Option(
        "--split",
        help="near-duplicates, or meaning: then the promise also has to hold for inputs whose "
        "meaning training never saw.",
    ),
]

MICRO_MODEL = Kind(
    name="micro_model",
    command="micro",
    noun="micro model",
    path="micro-models",
    columns=_columns,
    cells=_cells,
    none_yet="no micro model yet: its tier escalates every job",
    show=_show,
)
app = commands(MICRO_MODEL, "Train, list and withdraw the classifier of a micro tier.")


@app.command("train")
def train_(
    feature: Feature,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION|newest",
            help="Train on the train rows of this dataset; by default on the labels of jobs.",
        ),
    ] = None,
    max_error: MaxError = None,
    confidence: ConfidenceOf = 0.95,
    strangers: Strangers = STRANGERS,
    split: SplitBy = NEAR_DUPLICATES,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train on the labels from people or the last tier, and promise a largest share of errors.

    With --dataset it learns from the dataset's train rows, and the promise is tested on its
    calibration rows that represent all traffic; its test rows are not used.

    Without --max-error nothing is promised: all its answers escalate until it is calibrated. The
    server trains; Ctrl-C ends only the waiting.
    """
    from tierline.cli.shared.client import connect

    if split not in SPLITS:
        raise UsageError(f"--split is {split!r}: give {' or '.join(SPLITS)}")
    options = options_of(max_error, confidence, strangers, dry_run=dry_run)
    options["split"] = split.replace("-", "_")
    version = None if dataset in (None, "newest") else _version(dataset)
    with connect(home) as api:
        if dataset is not None:
            from tierline.cli.improve.training.stored_datasets import find

            options["dataset"] = find(api, feature, version)["version"]
        train(MICRO_MODEL, api, feature, options, as_json=as_json)


def _version(text: str) -> int:
    """A dataset's version. Raises UsageError."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UsageError(f"--dataset is {text!r}: give a version, such as 3, or newest")
    return int(text)
