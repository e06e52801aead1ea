"""The promise of a micro model, tested on inputs that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from tierline.features import Feature, Tier
from tierline.routing.thresholds.fingerprint import answerer, fingerprint, models_text
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
from tierline.services.steering.micro import name_of
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import calibrations
from tierline.storage.steering.artefacts import ArtefactRow
from tierline.views.evidence.calibrations import Calibration

if TYPE_CHECKING:
    from tierline.routing.learned.micro_training import HeldOut, Lesson


@dataclass(frozen=True)
class PromiseRequest:
    """The promise to test for a micro model."""

    max_error: float  # largest error rate among its served answers, 0 to 1
    confidence: float  # 0 to 1
    # it also has to hold on held-out inputs whose meaning the head did not see in training
    by_meaning: bool = False


def tested_promise(
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
        calibrated=search,
        by_label=_by_label(lesson.held_out, threshold),
    )
    tested = Tested(
        feature=feature,
        tier=tier,
        recipe=recipe,
        fingerprint=fingerprint(recipe, answerers),
        models=models_text(answerers),
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
