"""Outcomes that are made when people are asked for a label.

A feature without shadows and without a calibrated threshold records no outcomes, because most of
its answers are never compared. If a sample of its jobs is drawn for labels, the outcomes are made
from what is stored about them: so a promise can use the labels, and no job waits for it.

They have no embedding, so such a promise does not check whether an input is novel. Of a
confidence with several signals only the one that decided is stored.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import time_of
from tierline.base.json_text import digest_of
from tierline.checks.signals import signals_of
from tierline.features import Feature, Tier
from tierline.features.stored import UnreadableFeature
from tierline.routing.first_tier import share_of
from tierline.routing.thresholds.fingerprint import answerer, fingerprint, models_text, recipe
from tierline.routing.thresholds.promise import fits_scores
from tierline.storage.evidence import outcome_labels
from tierline.storage.evidence.outcome_labels import EndedJob
from tierline.storage.evidence.outcomes import AnswerOutcome
from tierline.storage.features.features import load_version

AT_ONCE = 200  # jobs whose contents are read together


@dataclass(frozen=True)
class _Key:
    job_id: UUID
    attempt: int


def draw_ended(
    connection: Connection[Any],
    feature: Feature,
    tier: Tier,
    count: int,
    *,
    account_id: int | None,
    only_new: bool,
) -> list[EndedJob]:
    """Draw up to `count` of the feature's ended jobs for a label, at random, and make the outcomes
    of the tier's answers among them. Those that have feedback already become outcomes too, and are
    not returned: nobody needs to label them.
    """
    ended = outcome_labels.ended_to_label(
        connection, feature.name, tier.name, account_id, only_new=only_new
    )
    ended.sort(key=lambda row: share_of("label", str(row.job_id)))
    drawn: list[UUID] = []
    missing = count
    for row in ended:
        if not missing:
            break
        drawn.append(row.job_id)
        missing -= not row.has_feedback
    without: list[EndedJob] = []
    for start in range(0, len(drawn), AT_ONCE):  # their contents may be large
        ids = drawn[start : start + AT_ONCE]
        rows = outcome_labels.ended_jobs(connection, feature.name, tier.name, ids)
        rows.sort(key=lambda row: ids.index(row.job_id))
        if not tier.is_micro:  # its promise comes from its training
            outcome_labels.add_for_labels(connection, _made(connection, tier, rows))
        without += [row for row in rows if not row.has_feedback]
    return without


def _made(
    connection: Connection[Any], tier: Tier, rows: Sequence[EndedJob]
) -> list[tuple[_Key, AnswerOutcome]]:
    """The outcomes of the rows whose answer counts."""
    answerers: dict[tuple[UUID, int], set[str]] = defaultdict(set)
    for call in outcome_labels.answered_calls(connection, [row.job_id for row in rows], tier.name):
        named = answerer(call.model, call.answered_model)
        answerers[call.job_id, call.attempt].add(named)
    versions: dict[int, Feature | None] = {}
    made = []
    for row in rows:
        if row.feature_version_id not in versions:
            versions[row.feature_version_id] = _readable(connection, row.feature_version_id)
        version = versions[row.feature_version_id]
        if row.attempt is None or version is None:
            continue
        by = answerers.get((row.job_id, row.attempt))
        first = version.allowed_tiers()[0]
        if by and first.name == tier.name:
            made.append((_Key(row.job_id, row.attempt), _outcome(version, first, row, by)))
    return made


def _readable(connection: Connection[Any], version_id: int) -> Feature | None:
    """None: the version is of a later release."""
    try:
        return load_version(connection, version_id)
    except UnreadableFeature:
        return None


def _outcome(feature: Feature, tier: Tier, row: EndedJob, answerers: set[str]) -> AnswerOutcome:
    made_by = recipe(feature, tier)
    signals = signals_of(row.input, row.output, time_of(row.job_id), repaired=row.repaired is True)
    confidence = feature.confidence_of(tier)
    if confidence is not None and row.confidence is not None:
        signals = {confidence.signal: row.confidence, **signals}
    digest = digest_of(row.input)
    return AnswerOutcome(
        feature=feature.name,
        recipe=made_by,
        fingerprint=fingerprint(made_by, answerers),
        models=models_text(answerers),
        signals=signals,
        served=row.served is True,
        inclusion=1.0,
        drawn=True,
        input_digest=digest,
        fits_scores=fits_scores(digest),
    )
