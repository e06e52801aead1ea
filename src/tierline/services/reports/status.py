"""A feature's stage, its costs and savings this month, and the next step."""

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from tierline.evaluation.stages import FEWEST_LABELS, STAGES, FeatureState, standing
from tierline.features import Feature
from tierline.routing.thresholds.fingerprint import task
from tierline.services.evidence.evaluation.evaluation_validity import (
    NoValidEvaluation,
    ValidEvaluation,
    newest_valid_evaluation,
)
from tierline.services.evidence.watch.drift_shown import drift_of
from tierline.services.features.find_feature import current_version
from tierline.services.reports.report import report
from tierline.services.reports.usage import day_of
from tierline.storage.evidence import datasets, drift, evaluations, labels, promotions
from tierline.storage.reports import reports
from tierline.storage.reports.feature_sums import Window
from tierline.storage.steering.artefacts import seen_by_micro_model
from tierline.views.reports.reports import FeatureStatus, MonthOfFeature

LATELY = timedelta(days=30)


def status_of(connection: Connection[Any], name: str) -> FeatureStatus:
    """The feature's status now. Raises NotFound."""
    now = datetime.now(UTC)
    version = current_version(connection, name)
    feature = version.read()
    facts = _facts(connection, feature, now)
    standing_now = standing(facts)
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = report(connection, name, begin, None)
    return FeatureStatus(
        feature=name,
        feature_version=version.version,
        stages=list(STAGES),
        stage=standing_now.stage,
        meaning=standing_now.meaning,
        told=standing_now.meaning,  # its name in version 0.2
        labels=facts.labels,
        labels_wanted=FEWEST_LABELS,
        dataset_rows=facts.dataset_rows,
        verdict=facts.verdict,
        stale=facts.stale,
        rung=facts.rung,
        share=facts.share,
        drifted=facts.drifted,
        watch=month.watch,
        month=MonthOfFeature.model_validate(month),
        next=standing_now.next,
        why=standing_now.why,
    )


def _facts(connection: Connection[Any], feature: Feature, now: datetime) -> FeatureState:
    name = feature.name
    evidence = _evidence(connection, feature)
    promotion = promotions.in_force(connection, name)
    dataset = datasets.dataset(connection, name, None)
    evaluated = evaluations.list_evaluations(connection, name)[:1]
    of_task = dataset is not None and dataset["task"] == task(feature)
    compared = evidence.compared if isinstance(evidence, ValidEvaluation) else None
    last = feature.tiers[-1].name
    alarm = drift.last_alarm(connection, name)
    lately = Window(name, day_of(now) - LATELY, None)
    return FeatureState(
        name=name,
        tiers=tuple(tier.name for tier in feature.tiers),
        micro=feature.tiers[0].is_micro,
        micro_trained=seen_by_micro_model(connection, name, task(feature)) is not None,
        begins_on_last=feature.first_tier() is feature.tiers[-1],
        jobs=sum(one.jobs for one in reports.statuses(connection, lately)),
        labels=labels.count_labels(connection, name, last),
        dataset_rows=dataset["rows"] if dataset is not None and of_task else 0,
        dataset_old=dataset is not None and alarm is not None and alarm > dataset["created_at"],
        dataset_new=dataset is not None
        and bool(evaluated)
        and dataset["created_at"] > evaluated[0]["dataset_at"],
        verdict=None if compared is None else compared["verdict"],
        more_examples=None if compared is None else compared["more_examples"],
        stale=evidence if isinstance(evidence, str) else None,
        rung=None if promotion is None else promotion["rung"],
        share=None if promotion is None else promotion["share"],
        drifted=drift_of(connection, name).drifted,
    )


def _evidence(connection: Connection[Any], feature: Feature) -> ValidEvaluation | str | None:
    """The newest evaluation if it is valid; otherwise the reason why it is not; None if there is no
    evaluation.
    """
    if len(feature.tiers) < 2:
        return None
    try:
        return newest_valid_evaluation(connection, feature)
    except NoValidEvaluation as nothing:
        return nothing.why
