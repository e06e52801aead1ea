"""Reviews: which answers people are asked to label, one at a time, and how far that has come.

A person's label is feedback like any other (`feedback`). This module decides who is asked about
which answer: nobody is asked twice about the same one, and a share of the answers is given to two
people, whose agreement is shown.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.evaluation.agreement import agreement
from tierline.evaluation.stages import FEWEST_LABELS
from tierline.features import Feature
from tierline.routing.confidence_gate import is_compared
from tierline.routing.thresholds.bounds import samples_needed
from tierline.routing.thresholds.judging import labels_needed
from tierline.routing.thresholds.promise import outcomes_for
from tierline.routing.thresholds.threshold_search import confidence_of_attempt
from tierline.rules.jobs import Status
from tierline.services.evidence.calibration.calibrate import ExtraMissing, need_libraries
from tierline.services.evidence.calibration.calibrated_tiers import compared_tier, share_of_risk
from tierline.services.evidence.calibration.calibration_outcomes import ask_people, choose_group
from tierline.services.evidence.labels.feedback import AnswerFeedback, store
from tierline.services.features.find_feature import current_feature
from tierline.services.jobs.read_jobs import Before, Details, Filters, search_jobs
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import calibrations, outcomes, reviews
from tierline.storage.evidence.labels import count_labels
from tierline.storage.evidence.reviews import LabelRequests, OpenCount, OpenReview
from tierline.views.evidence.reviews import (
    LabelAgreement,
    LabelProgress,
    PromiseLabels,
    WantedLabel,
)

__all__ = ["OpenCount", "OpenReview", "Reviewer"]

HOLD_S = 900.0  # how long an answer is kept for the person who looks at it
SECOND_SHARE = 0.1  # of the answers that two people label
MAX_ERROR, CONFIDENCE = 0.05, 0.95  # of a promise that nobody has requested yet
PAGE = 200
MOST_EXAMINED = 2_000  # jobs that match a filter, the newest


@dataclass(frozen=True)
class Reviewer:
    """Who labels answers: the key that the person signed in with."""

    account_id: int
    key_id: int


class LabelledByAnother(Conflict):
    """Another person labelled the answer meanwhile. Nothing was stored."""


def requested_labels(
    connection: Connection[Any],
    account_id: int,
    feature: str | None,
    after: int | None,
    limit: int,
) -> list[OpenReview]:
    """Answers of the account that people were asked to label and that have no label yet, the oldest
    first, behind the row `after`.
    """
    return reviews.open_page(connection, account_id, feature, after or 0, limit)


def label_view(row: OpenReview) -> WantedLabel:
    """The row as callers see it."""
    return WantedLabel(
        job_id=row.job_id,
        feature=row.feature,
        second=row.place > 1,
        source="sample" if row.source == "sample" else "filter",
        held=row.held,
        asked_at=row.asked_at,
    )


def ask_for_filter(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    count: int,
    second_share: float = SECOND_SHARE,
) -> int:
    """Ask for labels of up to `count` jobs that match, the newest ones that have an output. Returns
    how many labels were asked for.

    They are chosen, not drawn at random, so no promise uses their labels.
    """
    if filters.status not in (None, Status.COMPLETED):
        return 0
    completed = replace(filters, status=Status.COMPLETED.value, drafts=False)
    ids: list[UUID] = []
    before: Before | None = None
    for _ in range(MOST_EXAMINED // PAGE):
        page = search_jobs(connection, account_id, completed, Details(), before, PAGE)
        ids += [row["id"] for row in page.rows if row["output_removed_at"] is None]
        if page.stopped is None or len(ids) >= count:
            break
        before = Before(*page.stopped)
    return ask_people(connection, ids[:count], "filter", second_share)


def take_next(
    connection: Connection[Any], reviewer: Reviewer, feature: str | None
) -> OpenReview | None:
    """The next answer for this person, kept for HOLD_S; None: there is none. An answer that the
    person looks at already comes first.
    """
    return reviews.take(connection, reviewer.account_id, feature, reviewer.key_id, HOLD_S)


def label(
    connection: Connection[Any], reviewer: Reviewer, job_id: UUID, feedback: AnswerFeedback
) -> bool:
    """Store the person's feedback. False: the person labelled the answer before, and nothing is
    stored again. Raises LabelledByAnother, and as `give_feedback`.
    """
    try:
        with connection.transaction():
            stored = store(connection, reviewer.account_id, job_id, feedback, reviewer.key_id)
            if not stored.closed:
                raise (
                    _LabelledBefore
                    if stored.labelled_before
                    else LabelledByAnother(
                        "another person has labelled this answer meanwhile: yours was not stored"
                    )
                )
    except _LabelledBefore:
        return False
    return True


class _LabelledBefore(Exception):
    """This person labelled the answer before."""


def skip(connection: Connection[Any], reviewer: Reviewer, job_id: UUID) -> None:
    """Leave the answer to others. Raises NotFound if nobody was asked about it."""
    if not reviews.skip(connection, reviewer.account_id, job_id, reviewer.key_id):
        raise NotFound(f"nobody is asked to label job {job_id}")


def ask_again(connection: Connection[Any], reviewer: Reviewer, feature: str) -> int:
    """Ask the person again for what it skipped. Returns how many labels."""
    return reviews.forget_skips(connection, reviewer.account_id, feature, reviewer.key_id)


def open_counts(connection: Connection[Any], reviewer: Reviewer) -> list[OpenCount]:
    """How many labels of each feature are requested, and how many this person may give."""
    return reviews.open_counts(connection, reviewer.account_id, reviewer.key_id)


def progress(connection: Connection[Any], account_id: int, name: str) -> LabelProgress:
    """How many labels the feature has, and how many an evaluation and a promise need. Raises
    NotFound.
    """
    feature = current_feature(connection, name)
    # The person with the lower key is the first one, so that two people are not mixed up.
    both = [
        (one.first_right, one.second_right)
        if one.first_key < one.second_key
        else (one.second_right, one.first_right)
        for one in reviews.twice_labelled(connection, account_id, name)
    ]
    agreed = agreement(both)
    return LabelProgress(
        feature=name,
        labels=count_labels(connection, name, feature.allowed_tiers()[-1].name),
        needed_for_evaluation=FEWEST_LABELS,
        promise=_promise(connection, name),
        agreement=LabelAgreement(answers=agreed.answers, same=agreed.same, kappa=agreed.kappa),
    )


def _promise(connection: Connection[Any], name: str) -> PromiseLabels | None:
    feature, tier = compared_tier(connection, name, None)
    recipe = recipe_of(connection, feature, tier)
    group = choose_group(outcomes.groups(connection, recipe), None)
    if group is None and not is_compared(feature, tier):
        return None  # its outcomes are made when a sample is drawn
    made = calibrations.list_calibrations(connection, name)
    newest = next((one for one in made if one.tier == tier.name), None)
    max_error = MAX_ERROR if newest is None else newest.max_error
    confidence = CONFIDENCE if newest is None else newest.confidence
    there = LabelRequests(0, 0)
    if group is not None:
        there = reviews.label_requests(connection, recipe, group.fingerprint)
    attempt = 1 if group is None else group.attempts + 1
    return PromiseLabels(
        max_error=max_error,
        confidence=confidence,
        asked=there.requested,
        labelled=there.labelled,
        needed=_needed(feature, max_error, confidence, attempt),
    )


def _needed(feature: Feature, max_error: float, confidence: float, attempt: int) -> int | None:
    try:
        need_libraries()
    except ExtraMissing:
        return None
    own = share_of_risk(feature, confidence)
    if feature.compared_by.kind == "judge":
        return labels_needed(max_error, own)
    tested = samples_needed(max_error, confidence_of_attempt(attempt, own))
    return None if tested is None else outcomes_for(tested)
