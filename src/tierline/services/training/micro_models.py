"""Micro models: their training labels, training one, and testing its promise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotEnoughData, NotFound, Problem
from tierline.base.json_text import JSON, canonical_json
from tierline.checks.labels import LabelSet, closed_set
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.learned.micro_parts import from_parts, to_parts
from tierline.routing.thresholds.combination import CannotLearn
from tierline.routing.thresholds.fingerprint import answerer, fingerprint, models_told, task
from tierline.routing.thresholds.promise import OfLabel, Promise
from tierline.routing.thresholds.threshold_search import (
    Calibrated,
    confidence_of_attempt,
    grid,
    search_threshold,
)
from tierline.services.evidence.calibration.calibrate import too_few
from tierline.services.evidence.calibration.calibrated_tiers import share_of_risk
from tierline.services.evidence.calibration.calibrations import Tested, add
from tierline.services.evidence.labels.datasets import MOST_ROWS
from tierline.services.evidence.labels.known_labels import known_labels
from tierline.services.features.find_feature import current_feature
from tierline.services.operations.work import Work
from tierline.services.steering.micro import name_of
from tierline.services.steering.recipes import recipe_of
from tierline.services.training.artefacts import (
    MICRO_MODELS,
    Trained,
    keep,
    named,
    sha256_of,
)
from tierline.services.training.embedding import embedded
from tierline.storage.evidence import calibrations, datasets
from tierline.storage.steering.artefacts import ArtefactRow
from tierline.views.calibrations import Calibration
from tierline.views.datasets import KnownLabel
from tierline.views.steering import MicroModelWithPromise

if TYPE_CHECKING:
    from tierline.routing.learned.micro_training import HeldOut, Lesson

DIGEST_BYTES = 8  # bytes stored of each training input's digest


@dataclass(frozen=True)
class LabelledInput:
    """One input that a micro model is trained on, or that its promise is tested on."""

    input: JSON
    label: str
    said_by: str | None  # the model that gave the label; None: a person, or a file
    held_out: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the input, not of the job. So equal inputs are all trained on or all held
        out.
        """
        return hashlib.sha256(canonical_json(self.input).encode()).hexdigest()


@dataclass(frozen=True)
class PromiseRequest:
    """The promise to test for a micro model."""

    max_error: float  # largest error rate among its served answers, 0 to 1
    confidence: float  # 0 to 1
    # it also has to hold on held-out inputs whose meaning the head did not see in training
    by_meaning: bool = False


def labels_of(
    connection: Connection[Any],
    name: str,
    account_id: int | None = None,
    *,
    for_micro: bool = False,
) -> list[KnownLabel]:
    """The feature's inputs whose right output is known, each once, from one account's jobs or from
    all. `representative` marks a row that was drawn independently of its answer. `label` is set if
    the outputs are a closed set. Raises NotFound, and with `for_micro` Conflict if the feature has
    no micro tier.
    """
    feature = current_feature(connection, name)
    if for_micro:
        micro_tier(connection, name)
    newest: dict[str, KnownLabel] = {}
    for row in known_labels(connection, feature, account_id):
        newest.setdefault(canonical_json(row.input), row)  # keeps the newest
    return list(newest.values())


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
            rows = _of_jobs(connection, feature, work.readable_account_id)
        else:
            rows = _of_dataset(
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
        calibration = _promised(connection, feature, tier, row, lesson, promise, said_by)
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


def micro_tier(connection: Connection[Any], name: str) -> tuple[Feature, Tier, LabelSet]:
    """The feature, its micro tier and its labels. Raises NotFound, Conflict."""
    feature = current_feature(connection, name)
    tier = feature.allowed_tiers()[0]
    allowed = closed_set(feature.output_schema)
    if not tier.is_micro or allowed is None:
        raise Conflict(
            f"{name} has no micro tier: give it '- {{name: micro, models: "
            "[micro:all-MiniLM-L6-v2]}' as its first tier and apply it"
        )
    return feature, tier, allowed


def _of_jobs(
    connection: Connection[Any], feature: Feature, account_id: int | None
) -> list[LabelledInput]:
    """The known labels of the feature's jobs. Half of the representative rows are held out, chosen
    by the input's digest.
    """
    from tierline.routing.learned.micro_training import is_held_out

    rows = []
    for row in labels_of(connection, feature.name, account_id):
        assert row.label is not None, "a feature with a micro tier has a closed set of labels"
        one = LabelledInput(row.input, row.label, row.said_by, held_out=False)
        held_out = is_held_out(one.digest, representative=row.representative)
        rows.append(LabelledInput(one.input, one.label, one.said_by, held_out))
    if not rows:
        raise NotEnoughData(
            f"not enough data: no input of {feature.name} has a label; labels come from "
            "'tierline feedback' and from the answers of the last tier"
        )
    return rows


def _of_dataset(
    connection: Connection[Any],
    feature: Feature,
    allowed: LabelSet,
    version: int,
    account_id: int | None,
) -> list[LabelledInput]:
    """The training rows of the dataset, and its representative calibration rows as held out. The
    test rows are not used.
    """
    dataset = datasets.dataset(connection, feature.name, version)
    if dataset is None:
        raise NotFound(f"the feature {feature.name} has no dataset {version}")
    if dataset["task"] != task(feature):
        raise Conflict(
            f"dataset {version} is of another task: {feature.name} was changed after it was "
            f"built; build a new one by 'tierline dataset build {feature.name}'"
        )
    stored = datasets.rows_of(connection, dataset["id"], -1, MOST_ROWS, account_id)
    rows = [
        LabelledInput(
            row.input,
            allowed.unwrap(row.expected),
            row.said_by,
            held_out=row.side == "calibration",
        )
        for row in stored
        if row.input is not None
        and (row.side == "train" or (row.side == "calibration" and row.representative))
    ]
    if not rows:
        raise NotEnoughData(f"dataset {version} of {feature.name} has no row to train on")
    return rows


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


def _promised(
    connection: Connection[Any],
    feature: Feature,
    tier: Tier,
    made: ArtefactRow,
    lesson: "Lesson",
    request: PromiseRequest,
    said_by: Sequence[str],
) -> Calibration:
    """Test the promise on the answers to held-out inputs, and store the calibration.

    Every calibration of the feature's micro tier counts as one more attempt at its promise, since
    all of them may have been tested on the same inputs. `said_by` lists the models whose answers
    count as right; if it is empty, all labels come from people. Raises NotEnoughData.
    """
    from tierline.routing.learned.micro_training import no_looser_than_meaning

    recipe = recipe_of(connection, feature, tier)
    calibrations.lock_recipe(connection, recipe)
    attempt = 1 + calibrations.count_of_recipe(connection, recipe)
    tested_at = confidence_of_attempt(attempt, share_of_risk(feature, request.confidence))
    thresholds = grid([one.score for one in lesson.planned])

    def searched(answers: Sequence["HeldOut"]) -> Calibrated:
        return search_threshold(
            [one.scored for one in answers],
            thresholds,
            request.max_error,
            tested_at,
            lesson.planned,
        )

    search = searched(lesson.held_out)
    if request.by_meaning:
        strange = [one for one in lesson.held_out if one.label is None]
        search = no_looser_than_meaning(lesson, search, searched([*lesson.by_meaning, *strange]))
    if search.missing is not None:
        raise too_few(feature.name, len(lesson.held_out), max(1, search.missing))
    threshold = None if search.chosen is None else search.chosen.threshold
    answerers = {answerer(str(tier.models[0]), name_of(made.id))}
    promise = Promise(
        combination=lesson.micro.trust,
        learned=True,
        why_not=None,
        fitted=made.rows,
        tested_at=tested_at,
        found=search,
        by_label=_by_label(lesson.held_out, threshold),
    )
    tested = Tested(
        feature=feature,
        tier=tier,
        recipe=recipe,
        fingerprint=fingerprint(recipe, answerers),
        models=models_told(answerers),
        attempt=attempt,
        reference="model" if said_by else "human",
        reference_models=said_by,
        max_error=request.max_error,
        confidence=request.confidence,
    )
    return add(connection, tested, promise)


def _by_label(answers: Sequence["HeldOut"], threshold: float | None) -> dict[str, OfLabel]:
    by_label: dict[str, OfLabel] = {}
    for label in sorted({one.label for one in answers if one.label is not None}):
        alike = [one.scored for one in answers if one.label == label]
        served = [one for one in alike if threshold is not None and one.score >= threshold]
        by_label[label] = OfLabel(len(alike), len(served), sum(one.wrong for one in served))
    return by_label
