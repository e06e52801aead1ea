"""Calibrating a feature's tier on its own outcomes.

In a cascade of several calibrated tiers, each tier keeps the promised error rate among the answers
that it serves, so all of them together keep it. The risk of the promise, 1 - confidence, is split
evenly among the tiers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotEnoughData
from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.routing.thresholds.bounds import samples_needed
from tierline.routing.thresholds.judging import Terms, Trusted, labels_needed, terms
from tierline.routing.thresholds.promise import outcomes_for, promise, prospects
from tierline.routing.thresholds.search_chance import Chances
from tierline.routing.thresholds.threshold_search import confidence_of_attempt
from tierline.services.evidence.calibration.calibrated_tiers import (
    compared_tier,
    refuse_unrecorded,
    share_of_risk,
)
from tierline.services.evidence.calibration.calibration_outcomes import (
    ReferenceBy,
    choose_group,
    compare_all,
    compared_outcomes,
    judge_confirmed_by_people,
    reference_models,
    with_embeddings,
)
from tierline.services.evidence.calibration.calibrations import Tested, add
from tierline.services.steering.recipes import recipe_of
from tierline.storage.db.engine import allow_idle
from tierline.storage.evidence import calibrations
from tierline.storage.evidence.outcome_labels import use_labels
from tierline.storage.evidence.outcomes import ComparedOutcome, OutcomeGroup, groups
from tierline.views.evidence.calibrations import Calibration, OutcomeCount

UNNAMED_SIGNAL = "grounded"  # ranks the answers of a feature without a confidence


@dataclass(frozen=True)
class CalibrationRequest:
    """The promise to test."""

    max_error: float  # largest error rate among the served answers, 0 to 1
    confidence: float  # 0 to 1
    models: str | None = None  # the models that answered, as listed; None: those with most outcomes
    reference: ReferenceBy = "model"
    tier: str | None = None  # None: the first calibrated tier


def too_few(feature: str, outcomes: int, missing: int) -> NotEnoughData:
    """The error for so many outcomes if a promise needs at least `missing` more."""
    return NotEnoughData(
        f"not enough data: {outcomes} new outcomes of {feature} have a reference, and at least "
        f"{missing} more are needed before such a promise can be tested",
        missing,
    )


class ExtraMissing(Conflict):
    """The libraries that calibrating needs are not installed where this runs."""


@dataclass(frozen=True)
class Watch:
    """Callbacks during a calibration. If one raises, nothing is stored."""

    progress: Callable[[str], None] = lambda _: None  # called with the name of each new phase
    keep: Callable[[Connection[Any], Calibration], None] = lambda *_: None
    """Called with the calibration, within the transaction that stores it."""


@dataclass(frozen=True)
class _Available:
    """The outcomes that a calibration could be made from."""

    feature: Feature
    tier: Tier
    recipe: str
    request: CalibrationRequest
    group: OutcomeGroup | None
    outcomes: list[ComparedOutcome]
    judge: Trusted | None  # None: the promise does not use a judge

    @property
    def attempt(self) -> int:
        """The number of the next calibration, from 1."""
        return 1 if self.group is None else self.group.attempts + 1

    @property
    def confidence(self) -> float:
        """The confidence at which this tier is tested."""
        return share_of_risk(self.feature, self.request.confidence)

    def terms(self) -> Terms:
        """The error rate and confidence to test on the compared answers. Raises Conflict if the
        judge has too few labels for any such promise.
        """
        max_error, confidence = self.request.max_error, self.confidence
        if self.judge is None:
            return Terms(max_error, confidence)
        tested = terms(self.judge, max_error, confidence)
        if tested is None:
            needed = labels_needed(max_error, confidence)
            raise Conflict(
                f"no promise can be based on the judge {self.feature.compared_by.model}: people "
                f"labelled {self.judge.samples} answers of {self.feature.name} that it held to be "
                f"the same, and {self.judge.wrong} of them were wrong. About {needed} such labels "
                "are needed, all of them right: draw them with 'tierline feedback sample'"
            )
        return tested

    def missing(self, terms: Terms) -> int:
        """How many more outcomes are needed at least, if all are served and right; below 1: no
        more.
        """
        at = confidence_of_attempt(self.attempt, terms.confidence)
        tested = samples_needed(terms.max_error, at)
        assert tested is not None, "enough samples without errors prove any bound"
        return outcomes_for(tested) - len(self.outcomes)

    def prospects(self, terms: Terms) -> Chances | None:
        """The chance that a calibration finds a promise; None: too few outcomes to say."""
        return prospects(
            with_embeddings(self.feature, self.outcomes),
            _signal(self.feature, self.tier),
            terms.max_error,
            terms.confidence,
            self.attempt,
        )

    def judge_json(self) -> dict[str, JSON] | None:
        """The judge and its error, as callers see it."""
        if self.judge is None:
            return None
        return {
            "model": self.feature.compared_by.model,
            "samples": self.judge.samples,
            "wrong": self.judge.wrong,
            "missed": self.judge.missed(self.confidence),
        }


def calibrate(
    connection: Connection[Any], name: str, request: CalibrationRequest, watch: Watch | None = None
) -> Calibration:
    """Search for the threshold that keeps the promise, and put it in force.

    It uses up its outcomes: the next calibration needs new ones. If nothing can be promised, the
    outcomes are used up too, and that result is in force: all answers escalate. Raises NotFound,
    InvalidInput, NotEnoughData, Conflict.
    """
    need_libraries()
    watch = watch or Watch()
    watch.progress("comparing")
    feature, tier = compared_tier(connection, name, request.tier)
    if request.reference == "model":
        refuse_unrecorded(feature, tier)
    recipe = recipe_of(connection, feature, tier)
    compare_all(connection, recipe)
    watch.progress("reading")
    with connection.transaction():
        calibrations.lock_recipe(connection, recipe)
        available = _available(connection, feature, tier, recipe, request)
        terms = available.terms()
        group = _enough(available, terms)
        allow_idle(connection)  # the recipe stays locked during the threshold search
        outcomes = with_embeddings(feature, available.outcomes)
        watch.progress("testing")
        tested_promise = promise(
            outcomes, _signal(feature, tier), terms.max_error, terms.confidence, available.attempt
        )
        if tested_promise.calibrated.missing is not None:
            more = max(1, outcomes_for(tested_promise.calibrated.missing))
            raise too_few(name, len(available.outcomes), more)
        tested = Tested(
            feature=feature,
            tier=tier,
            recipe=recipe,
            fingerprint=group.fingerprint,
            models=group.models,
            attempt=available.attempt,
            reference=request.reference,
            reference_models=reference_models(available.outcomes),
            max_error=request.max_error,
            confidence=request.confidence,
            first_seq=available.outcomes[0].seq,
            last_seq=available.outcomes[-1].seq,
            judge=available.judge_json(),
        )
        made = add(connection, tested, tested_promise)
        if request.reference == "human":
            use_labels(connection, available.outcomes, int(made.id))
        watch.keep(connection, made)
    return made


def count_outcomes(
    connection: Connection[Any], name: str, request: CalibrationRequest
) -> OutcomeCount:
    """The outcomes that exist for such a calibration. None is used up. Raises NotFound,
    InvalidInput, Conflict.
    """
    available = _counted(connection, name, request)
    try:
        terms = available.terms()
    except Conflict:  # the judge has too few labels, which `judge` shows
        terms = Terms(request.max_error, available.confidence)
    missing = max(0, available.missing(terms))
    prospects = available.prospects(terms)
    recommended = None
    if prospects is not None and prospects.tested is not None:
        recommended = outcomes_for(prospects.tested)
        missing = max(missing, recommended - len(available.outcomes))
    return OutcomeCount(
        feature=name,
        tier=available.tier.name,
        models=None if available.group is None else available.group.models,
        reference=request.reference,
        outcomes=len(available.outcomes),
        missing=missing,
        chance=None if prospects is None else prospects.now,
        recommended=recommended,
        reference_models=reference_models(available.outcomes),
        attempt=available.attempt,
        judge=available.judge_json(),
    )


def refuse_too_few(connection: Connection[Any], name: str, request: CalibrationRequest) -> None:
    """Raises NotEnoughData if there are too few outcomes for such a calibration, Conflict if the
    judge has too few labels; also NotFound, InvalidInput.
    """
    available = _counted(connection, name, request)
    _enough(available, available.terms())


def need_libraries() -> None:
    """Raises ExtraMissing if the libraries for a calibration are not installed."""
    try:
        import scipy.special  # noqa: F401
        import sklearn.linear_model  # noqa: F401
    except ImportError:
        raise ExtraMissing(
            "calibrating needs scipy and scikit-learn where the API runs: install the extra "
            "'routing' by 'make setup'"
        ) from None


def _counted(connection: Connection[Any], name: str, request: CalibrationRequest) -> _Available:
    need_libraries()
    feature, tier = compared_tier(connection, name, request.tier)
    if request.reference == "model":
        refuse_unrecorded(feature, tier)
    recipe = recipe_of(connection, feature, tier)
    compare_all(connection, recipe)
    with connection.transaction():
        return _available(connection, feature, tier, recipe, request)


def _available(
    connection: Connection[Any],
    feature: Feature,
    tier: Tier,
    recipe: str,
    request: CalibrationRequest,
) -> _Available:
    """Raises InvalidInput, Conflict."""
    group = choose_group(groups(connection, recipe), request.models)
    outcomes = (
        []
        if group is None
        else compared_outcomes(connection, feature, recipe, group, request.reference)
    )
    judge = None
    if request.reference == "model" and feature.compared_by.kind == "judge":
        judge = judge_confirmed_by_people(connection, feature, recipe, group)
    return _Available(feature, tier, recipe, request, group, outcomes, judge)


def _signal(feature: Feature, tier: Tier) -> str:
    """The signal that ranks the answers while too little is known to learn a score."""
    confidence = feature.confidence_of(tier)
    return UNNAMED_SIGNAL if confidence is None else confidence.signal


def _enough(available: _Available, terms: Terms) -> OutcomeGroup:
    """The group of the outcomes, if there are enough. Raises NotEnoughData."""
    missing = available.missing(terms)
    if available.group is None or missing > 0:
        raise too_few(available.feature.name, len(available.outcomes), max(1, missing))
    return available.group
