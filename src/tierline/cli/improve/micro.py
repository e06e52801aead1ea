"""`tierline micro`: a classifier of a feature's own, which answers inside the worker."""

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON, canonical_json
from tierline.cli.shared.options import Home, Json, command_group

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client
    from tierline.routing.micro_training import Lesson

app = command_group("Train, list and withdraw the classifier that answers in a micro tier.")

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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how well it would answer.")]


@app.command()
def train(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    max_error: MaxError = None,
    confidence: ConfidenceOf = 0.95,
    strangers: Strangers = STRANGERS,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Learn the labels that people or the last tier gave, and promise how seldom it errs.

    Without --max-error nothing is promised: all that it says escalates until it is calibrated.
    """
    from tierline.cli.shared.client import connect
    from tierline.routing.micro_training import is_held_out

    wanted = TrainingOptions(max_error, confidence, strangers, dry_run=dry_run)
    wanted.refuse_bad()
    with connect(home) as api:
        rows = api.get(f"/v1/features/{feature}/labels", params={"for_micro": "true"})["data"]
        if not rows:
            raise TierlineError(
                f"not enough data: no input of {feature} has a label; people give them by "
                "'tierline feedback', the last tier by answering"
            )
        held = [is_held_out(_key(row), representative=row["representative"]) for row in rows]
        teach(api, feature, rows, held, wanted, as_json=as_json)


@dataclass(frozen=True)
class TrainingOptions:
    """What is asked of a micro model."""

    max_error: float | None  # of what it serves; None: nothing is to be promised
    confidence: float
    strangers: float
    dry_run: bool

    def refuse_bad(self) -> None:
        """Raises UsageError for a share outside its range."""
        from tierline.cli.improve.calibrate import within

        if self.max_error is not None:
            within("--max-error", self.max_error, 0.0001, 1.0)
        within("--confidence", self.confidence, 0.5, 0.9999)
        within("--strangers", self.strangers, 0.0, 0.9)


def teach(
    api: "Client",
    feature: str,
    rows: list[JSON],
    held: list[bool],
    wanted: TrainingOptions,
    *,
    as_json: bool,
) -> None:
    """Train on the rows that are not held out, test a promise on the others, send both, and say how
    it went. Each row: `input`, `label`, `said_by`. Raises TierlineError where there are too few.
    """
    from tierline.cli.improve.embedding import embedded
    from tierline.cli.shared.output import print_json
    from tierline.features.prompts import input_text
    from tierline.routing.combination import CannotLearn
    from tierline.routing.micro_training import learn

    try:
        vectors = embedded([input_text(row["input"]) for row in rows])
        lesson = learn(vectors, [row["label"] for row in rows], held, wanted.strangers)
    except ImportError as missing:
        raise TierlineError(
            f"training needs the extra `routing` ({missing.name} is missing): run 'make setup'"
        ) from None
    except CannotLearn as error:
        raise TierlineError(f"not enough data: {error}") from None
    quality = _quality(lesson)
    made: JSON = None
    if not wanted.dry_run:
        promise = None
        if wanted.max_error is not None:
            promise = _promise(lesson, rows, wanted.max_error, wanted.confidence)
        body = _body(lesson, rows, quality, promise)
        made = api.post(f"/v1/features/{feature}/micro-models", json=body)
    if as_json:
        print_json({"micro_model": made, "quality": quality, "rows": lesson.rows})
        return
    _show(feature, made, lesson, quality)


@app.command("list")
def list_(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """A feature's micro models, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table, when

    with connect(home) as api:
        found = api.get(f"/v1/features/{feature}/micro-models")
    if as_json:
        print_json(found)
        return
    print_table(
        [
            Col("ID", "right"),
            Col("TRAINED", wrap=False),
            *(Col(title, "right") for title in ("ROWS", "LABELS", "ACCURACY")),
            Col("WITHDRAWN", wrap=False),
        ],
        [
            (
                *(one["id"], when(one["trained_at"]), f"{one['rows']:,}"),
                str(one["quality"].get("labels", "")),
                f"{one['right_rows'] / one['rows']:.1%}",
                when(one["withdrawn_at"]) if one["withdrawn_at"] else "",
            )
            for one in found["data"]
        ],
        empty="no micro model yet: its tier passes every job on",
    )


@app.command()
def withdraw(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    micro_model: Annotated[int, typer.Argument(metavar="ID", min=1)],
    home: Home = None,
) -> None:
    """End a micro model: the one before it answers, or the next tier."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line

    with connect(home) as api:
        api.post(f"/v1/features/{feature}/micro-models/{micro_model}/withdraw")
    line(f"micro model {micro_model} of {feature} is withdrawn")


def _key(row: JSON) -> str:
    """Of an input, not of its job: what was asked twice stands on one side."""
    return hashlib.sha256(canonical_json(row["input"]).encode()).hexdigest()


def _quality(lesson: "Lesson") -> dict[str, JSON]:
    known = [one.scored for one in lesson.held_out if one.label is not None]
    return {
        "labels": len(lesson.micro.head.labels),
        "accuracy": lesson.right / lesson.rows,
        "held_out": len(known),
        "held_out_accuracy": (sum(not one.wrong for one in known) / len(known) if known else None),
        "novel": lesson.novel,
        "strangers": lesson.strangers,
    }


def _promise(
    lesson: "Lesson", rows: list[JSON], max_error: float, confidence: float
) -> dict[str, JSON]:
    return {
        "max_error": max_error,
        "confidence": confidence,
        "planned": [{"score": one.score, "wrong": one.wrong} for one in lesson.planned],
        "held_out": [
            {"score": one.scored.score, "wrong": one.scored.wrong, "label": one.label}
            for one in lesson.held_out
        ],
        "said_by": sorted({row["said_by"] for row in rows} - {None}),
    }


def _body(lesson: "Lesson", rows: list[JSON], quality: JSON, promise: JSON) -> dict[str, Any]:
    from tierline.routing.micro_parts import to_parts

    document, packed = to_parts(lesson.micro)
    return {
        "rows": lesson.rows,
        "right_rows": lesson.right,
        "data_sha256": hashlib.sha256(canonical_json(rows).encode()).hexdigest(),
        "quality": quality,
        "document": document,
        "vectors": base64.b64encode(packed).decode(),
        "inputs": base64.b64encode(
            b"".join(sorted(bytes.fromhex(_key(row))[:8] for row in rows))
        ).decode(),
        "promise": promise,
    }


def _show(feature: str, made: JSON, lesson: "Lesson", quality: JSON) -> None:
    from tierline.cli.improve.calibrate import show
    from tierline.cli.shared.output import line

    name = "a micro model" if made is None else f"micro model {made['id']}"
    line(
        f"{name} of {feature}: trained on {lesson.rows:,} inputs of {quality['labels']} labels"
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
    if lesson.strangers:
        line(
            f"The promise survives up to {lesson.strangers:.0%} of inputs of a kind that it never "
            "saw."
        )
