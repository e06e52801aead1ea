"""Micro models: the labels that they are trained from, keeping them, and what each may promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.formats import when
from tierline.base.json_text import JSON, canonical_json
from tierline.checks.labels import LabelSet, closed_set
from tierline.features import Feature, Tier
from tierline.routing.fingerprint import answerer, fingerprint, models_told, task
from tierline.routing.micro import Micro
from tierline.routing.micro_parts import from_parts
from tierline.routing.promise import OfLabel, Promise
from tierline.routing.threshold_search import Scored, confidence_of_attempt, grid, search_threshold
from tierline.services.evidence.calibrations import (
    NotEnoughData,
    calibration_json,
    columns_of,
    need_libraries,
    share_of_risk,
    state_of,
)
from tierline.services.evidence.known_labels import known_labels
from tierline.services.features.find_feature import current_feature
from tierline.services.steering.micro import name_of
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import calibrations
from tierline.storage.steering.artefacts import (
    add_artefact,
    list_artefacts,
    note_inputs,
    withdraw_artefact,
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """One answer of a micro model to an input that it was not trained on."""

    score: float
    wrong: bool
    label: str | None = None  # None: of a kind that was withheld from it, to see it fooled


@dataclass(frozen=True)
class Sought:
    """A promise to be found for a micro model, and what it is to be found on."""

    max_error: float  # of what is served, 0 to 1
    confidence: float  # 0 to 1
    planned: Sequence[Judged]  # to plan the thresholds on
    held_out: Sequence[Judged]  # to test them on: of inputs that stand for all traffic
    said_by: Sequence[str]  # whose answers count as right; empty: people's alone


def labels_of(
    connection: Connection[Any],
    name: str,
    account_id: int | None = None,
    *,
    for_micro: bool = False,
) -> list[dict[str, JSON]]:
    """The feature's inputs whose right output is known, each once, of one account's jobs or of all;
    `representative` are those that were drawn whatever they say, `label` is that of a closed set.
    Raises NotFound, and with `for_micro` Conflict for a feature without a micro tier.
    """
    feature = current_feature(connection, name)
    if for_micro:
        _micro(connection, name)
    found: dict[str, dict[str, JSON]] = {}
    for row in known_labels(connection, feature, account_id):
        found.setdefault(canonical_json(row["input"]), row)  # the newest
    return list(found.values())


def add_micro_model(
    connection: Connection[Any],
    name: str,
    *,
    rows: int,
    right_rows: int,
    data_sha256: str,
    quality: JSON,
    document: JSON,
    vectors: bytes,
    sought: Sought | None,
    inputs: bytes | None = None,
) -> dict[str, JSON]:
    """Keep a trained micro model, which answers within seconds, and the promise that is sought for
    it: both or neither. Without one all that it says escalates, and becomes outcomes. `inputs`: 8
    bytes of the digest of each input that it has seen, which it is not evaluated on.

    Every calibration of the feature's micro tier counts as one more attempt at its promise, since
    all of them may have been tested on the same inputs. Raises NotFound, Conflict, NotEnoughData,
    and InvalidInput for what is no micro model of this feature.
    """
    need_libraries()
    feature, tier, allowed = _micro(connection, name)
    try:
        micro = from_parts(document, vectors)
    except ValueError as error:
        raise InvalidInput([Problem(str(error), "/document")]) from None
    strange = sorted(set(micro.head.labels) - set(allowed.labels))
    if strange:
        raise InvalidInput(
            [Problem(f"{name} has no label {label[:80]!r}", "/document") for label in strange[:10]]
        )
    with connection.transaction():
        made = add_artefact(
            connection,
            "micro_models",
            {
                "feature": name,
                "recipe": task(feature),
                "rows": rows,
                "right_rows": right_rows,
                "data_sha256": data_sha256,
                "quality": quality,
                "document": document,
            },
            vectors,
        )
        if inputs is not None:
            note_inputs(connection, made["id"], inputs)
        calibration = None
        if sought is not None:
            calibration = _promised(connection, feature, tier, made, micro, sought)
    return micro_json(made) | {"calibration": calibration}


def micro_models_of(connection: Connection[Any], name: str) -> list[dict[str, JSON]]:
    """A feature's micro models, the newest first. Raises NotFound."""
    current_feature(connection, name)
    return [micro_json(row) for row in list_artefacts(connection, "micro_models", name)]


def withdraw_micro_model(connection: Connection[Any], name: str, id: int) -> dict[str, JSON]:
    """End one: within seconds the one before it answers, or none does. Raises NotFound."""
    row = withdraw_artefact(connection, "micro_models", name, id)
    if row is None:
        raise NotFound(f"the feature {name[:80]!r} has no micro model {id}")
    return micro_json(row)


def micro_json(row: Row) -> dict[str, JSON]:
    """A micro model as the API tells it."""
    return {
        "id": str(row["id"]),
        "model": name_of(row["id"]),
        "feature": row["feature"],
        "rows": row["rows"],
        "right_rows": row["right_rows"],
        "data_sha256": row["data_sha256"],
        "quality": row["quality"],
        "trained_at": when(row["trained_at"]),
        "withdrawn_at": when(row["withdrawn_at"]),
    }


def _promised(
    connection: Connection[Any],
    feature: Feature,
    tier: Tier,
    made: Row,
    micro: Micro,
    sought: Sought,
) -> dict[str, JSON]:
    recipe = recipe_of(connection, feature, tier)
    calibrations.lock_recipe(connection, recipe)
    attempt = 1 + calibrations.count_of_recipe(connection, recipe)
    confidence = share_of_risk(feature, sought.confidence)
    tested_at = confidence_of_attempt(attempt, confidence)
    planned = [Scored(one.score, one.wrong) for one in sought.planned]
    found = search_threshold(
        [Scored(one.score, one.wrong) for one in sought.held_out],
        grid([one.score for one in planned]),
        sought.max_error,
        tested_at,
        planned_on=planned,
    )
    if found.missing is not None:
        raise NotEnoughData(feature.name, len(sought.held_out), max(1, found.missing))
    threshold = None if found.chosen is None else found.chosen.threshold
    answerers = {answerer(str(tier.models[0]), name_of(made["id"]))}
    promise = Promise(
        combination=micro.trust,
        learned=True,
        why_not=None,
        fitted=made["rows"],
        tested_at=tested_at,
        found=found,
        by_label=_by_label(sought.held_out, threshold),
    )
    row = calibrations.add_calibration(
        connection,
        {
            "feature": feature.name,
            "tier": tier.name,
            "recipe": recipe,
            "fingerprint": fingerprint(recipe, answerers),
            "models": models_told(answerers),
            "attempt": attempt,
            "reference": "model" if sought.said_by else "human",
            "reference_models": sorted(sought.said_by),
            "max_error": sought.max_error,
            "confidence": sought.confidence,
            "first_seq": 0,  # of no outcomes: those that come are all new
            "last_seq": 0,
            **columns_of(promise),
        },
    )
    return calibration_json(row, state_of({**row, "newest": True}, recipe))


def _by_label(judged: Sequence[Judged], threshold: float | None) -> dict[str, OfLabel]:
    found: dict[str, OfLabel] = {}
    for label in sorted({one.label for one in judged if one.label is not None}):
        alike = [one for one in judged if one.label == label]
        served = [one for one in alike if threshold is not None and one.score >= threshold]
        found[label] = OfLabel(len(alike), len(served), sum(one.wrong for one in served))
    return found


def _micro(connection: Connection[Any], name: str) -> tuple[Feature, Tier, LabelSet]:
    feature = current_feature(connection, name)
    tier = feature.allowed_tiers()[0]
    allowed = closed_set(feature.output_schema)
    if not tier.is_micro or allowed is None:
        raise Conflict(
            f"{name} has no micro tier: give it '- {{name: micro, models: "
            "[micro:all-MiniLM-L6-v2]}' as its first one and apply it"
        )
    return feature, tier, allowed
