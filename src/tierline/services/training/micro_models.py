"""Micro models: training one, and storing it with its promise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotEnoughData, Problem
from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.learned.micro_parts import from_parts, to_parts
from tierline.routing.thresholds.combination import CannotLearn
from tierline.routing.thresholds.fingerprint import task
from tierline.services.operations.work import Work
from tierline.services.training.artefacts import (
    MICRO_MODELS,
    Trained,
    keep,
    named,
    sha256_of,
)
from tierline.services.training.embedding import embedded
from tierline.services.training.micro_promises import PromiseRequest, tested_promise
from tierline.services.training.micro_rows import (
    LabelledInput,
    micro_tier,
    rows_of_dataset,
    rows_of_jobs,
)
from tierline.views.training.steering import MicroModelWithPromise

if TYPE_CHECKING:
    from tierline.routing.learned.micro_training import Lesson

DIGEST_BYTES = 8  # bytes stored of each training input's digest


def train(work: Work) -> None:
    """Train a micro model and test its promise on inputs that it was not trained on. Stores both
    unless `dry_run` is set. Without `max_error` every answer escalates and is recorded as an
    outcome.

    Options: `dataset` (its version; None: the known labels of the feature's jobs), `max_error`,
    `confidence`, `strangers`, `split`, `dry_run`. Raises NotFound, Conflict, NotEnoughData,
    Superseded.
    """
    from tierline.routing.learned.micro_training import learn

    work.progress("reading")
    with work.pool.connection() as connection:
        feature, tier, allowed = micro_tier(connection, work.feature)
        if work.options["dataset"] is None:
            rows = rows_of_jobs(connection, feature, work.readable_account_id)
        else:
            rows = rows_of_dataset(
                connection, feature, allowed, work.options["dataset"], work.readable_account_id
            )
    vectors = embedded(work, [input_text(row.input) for row in rows])
    work.progress("learning")
    try:
        lesson = learn(
            vectors,
            [row.label for row in rows],
            [row.held_out for row in rows],
            work.options["strangers"],
        )
    except CannotLearn as error:
        raise NotEnoughData(f"not enough data: {error}") from None
    trained = trained_of(lesson, rows, work.options["dataset"])
    made = None
    work.progress("testing")
    promise = None
    if work.options["max_error"] is not None:
        promise = PromiseRequest(
            work.options["max_error"],
            work.options["confidence"],
            by_meaning=work.options.get("split") == "meaning",
        )
    with work.pool.connection() as connection, connection.transaction():
        if not work.options["dry_run"]:
            made = keep_lesson(connection, feature, tier, lesson, rows, trained, promise)
        threshold = None
        if made is not None and made.calibration is not None:
            threshold = made.calibration.threshold
        trained.quality["splits"] = splits_of(lesson, threshold)
        work.complete(connection, trained.result(micro_model=made))


def keep_lesson(
    connection: Connection[Any],
    feature: Feature,
    tier: Tier,
    lesson: "Lesson",
    rows: Sequence[LabelledInput],
    trained: Trained,
    promise: PromiseRequest | None,
) -> MicroModelWithPromise:
    """Store a micro model and its promise in the caller's transaction. `rows` are its training
    rows, `trained` is what is stored of it. Raises NotEnoughData if too few answers were held out.
    """
    seen = b"".join(sorted(bytes.fromhex(row.digest)[:DIGEST_BYTES] for row in rows))
    row = keep(connection, MICRO_MODELS, feature.name, task(feature), trained, "server", seen)
    calibration = None
    if promise is not None:
        said_by = sorted({row.said_by for row in rows if row.said_by is not None})
        calibration = tested_promise(connection, feature, tier, row, lesson, promise, said_by)
    return MicroModelWithPromise.model_validate({**named(row), "calibration": calibration})


def add_uploaded(connection: Connection[Any], name: str, trained: Trained) -> MicroModelWithPromise:
    """Store a micro model that a client trained, without a promise. All its answers escalate until
    it is calibrated on its outcomes. The client's list of training inputs is not accepted, so the
    model can never be evaluated. Raises NotFound, Conflict, and InvalidInput if the document is not
    a micro model of this feature.
    """
    feature, _, allowed = micro_tier(connection, name)
    try:
        micro = from_parts(trained.document, trained.vectors)
    except ImportError:
        raise Conflict(
            "a micro model needs the extra 'routing' where the API runs: install it by 'make setup'"
        ) from None
    except ValueError as error:
        raise InvalidInput([Problem(str(error), "/document")]) from None
    strange = sorted(set(micro.head.labels) - set(allowed.labels))
    if strange:
        raise InvalidInput(
            [Problem(f"{name} has no label {label[:80]!r}", "/document") for label in strange[:10]]
        )
    row = keep(connection, MICRO_MODELS, name, task(feature), trained, "client")
    return MicroModelWithPromise.model_validate({**named(row), "calibration": None})


def splits_of(lesson: "Lesson", threshold: float | None) -> list[JSON]:
    """What each split of the held-out inputs found: by near duplicates, as the dataset is split,
    and by meaning. With a threshold also what is served, and how much of that is wrong.
    """
    splits: list[JSON] = []
    for name, answers, novel in (
        ("near duplicates", lesson.held_out, lesson.novel),
        ("meaning", lesson.by_meaning, lesson.novel_by_meaning),
    ):
        scored = [one.scored for one in answers if one.label is not None]
        served = [one for one in scored if threshold is not None and one.score >= threshold]
        splits.append(
            {
                "by": name,
                "inputs": len(scored),
                "wrong": sum(one.wrong for one in scored),
                "novel": novel,
                "served": len(served) if threshold is not None else None,
                "served_wrong": sum(one.wrong for one in served) if threshold is not None else None,
            }
        )
    return splits


def trained_of(
    lesson: "Lesson", rows: Sequence[LabelledInput], dataset: int | None = None
) -> Trained:
    """What is stored of a micro model that was trained on these rows, which are from that version
    of the dataset, or from jobs.
    """
    document, packed = to_parts(lesson.micro)
    scored = [one.scored for one in lesson.held_out if one.label is not None]
    quality: dict[str, JSON] = {
        "labels": len(lesson.micro.head.labels),
        "accuracy": lesson.right / lesson.rows,
        "held_out": len(scored),
        "held_out_accuracy": sum(not one.wrong for one in scored) / len(scored) if scored else None,
        "novel": lesson.novel,
        "strangers": lesson.strangers,
        "splits": splits_of(lesson, None),
        "dataset": dataset,
    }
    digest = sha256_of([vars(row) for row in rows])
    return Trained(lesson.rows, lesson.right, digest, quality, document, packed)
