"""The rows that a router is trained on: the first tier's answers, each with whether a later tier
would improve the result.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection

from tierline.base.json_text import digest_of
from tierline.features import Feature, Tier
from tierline.features.comparison import Comparison
from tierline.routing.confidence_gate import is_calibrated
from tierline.routing.thresholds.promise import fits_scores_by_job
from tierline.services.evidence.labels.label_verdicts import is_wrong
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence.calibrations import ids_in_force
from tierline.storage.evidence.labelled_log import MOST_ROWS, LoggedAnswer, count_answered, labelled
from tierline.storage.evidence.outcome_labels import InputWithLabel, inputs_with_label
from tierline.views.training.steering import TrainingRow


def router_rows(
    connection: Connection[Any], feature: Feature, tier: Tier, account_id: int | None
) -> list[TrainingRow]:
    """The tier's answers whose truth is known, the newest first; of one account or of all.

    An answer of which only people know whether it is right counts if it was drawn for a label, and
    if no promise in force was tested on that label or may be.
    """
    tested = _tested_inputs(connection, feature, tier)
    newest = labelled(connection, feature.name, tier.name, account_id)
    # As far back as the rows reach: failed answers are among them no further.
    since = min(row.job_id for row in newest) if len(newest) == MOST_ROWS else None
    kept = [
        _Row(row, loses)
        for row in (_untested(each, tested) for each in newest)
        if row is not None and (loses := loses_nothing(feature.compared_by, row)) is not None
    ]
    labelled_only = sum(row.answer.stands_for is None for row in kept)
    answered = (
        count_answered(connection, feature.name, tier.name, account_id, since)
        if labelled_only
        else 0
    )
    return [
        TrainingRow(
            job_id=row.answer.job_id,
            input=row.answer.input,
            right=row.right,
            stands_for=stands_for,
            step_usd=row.answer.step_usd,
        )
        for row, stands_for in zip(
            kept, weights([row.answer for row in kept], answered), strict=True
        )
    ]


@dataclass(frozen=True)
class _Row:
    answer: LoggedAnswer
    right: bool


def _tested_inputs(connection: Connection[Any], feature: Feature, tier: Tier) -> set[bytes]:
    """The digests of the inputs whose label a calibration tests: see `is_tested`.

    Without `threshold: calibrated` no calibration decides anything about the tier. Labels of
    another prompt are never tested for this one.
    """
    if not is_calibrated(feature, tier):
        return set()
    made_by = recipe_of(connection, feature, tier)
    in_force = ids_in_force(connection, made_by)
    labels = inputs_with_label(connection, made_by)
    return {label.input_digest for label in labels if is_tested(label, in_force)}


def is_tested(label: InputWithLabel, in_force: Collection[int]) -> bool:
    """Whether a calibration in force was tested on this label, or the next one may be. The label
    of an ended calibration is used up: no promise depends on it any more.
    """
    if label.label_used_by is not None and label.label_used_by not in in_force:
        return False
    if label.fits_scores is None:
        return not fits_scores_by_job(label.job_id)
    return not label.fits_scores


def _untested(row: LoggedAnswer, tested: Collection[bytes]) -> LoggedAnswer | None:
    """The row without a label that a calibration tests. None: nothing else is known about it.

    No calibration tests an answer that failed a check.
    """
    if row.failed or not row.has_label or digest_of(row.input) not in tested:
        return row
    if row.stands_for is None:
        return None
    return replace(row, has_label=False, has_expected=False, correct=None)


def loses_nothing(how: Comparison, row: LoggedAnswer) -> bool | None:
    """Whether calling the tier loses nothing, because no later tier would improve the result.

    It is so if the answer is right, or the later tier's answer is wrong too. What people say goes
    before the comparison with the later tier. None: nobody knows.
    """
    if row.later_failed or _later_is_wrong(how, row):
        return True
    if row.failed:
        return False
    if row.differs is False:
        return True  # a later tier gives the same answer
    wrong = is_wrong(how, row) if row.has_label else None
    if wrong is not None:
        return not wrong
    return None if row.differs is None else not row.differs


def _later_is_wrong(how: Comparison, row: LoggedAnswer) -> bool:
    """Whether people say so. In free text another text than theirs may be right too."""
    if row.later_served and row.correct is False:
        return True
    return (
        row.has_expected
        and row.has_later_output
        and how.kind != "judge"
        and not how.same(row.later_output, row.expected)
    )


def weights(rows: Sequence[LoggedAnswer], answered: int) -> list[float]:
    """How many inputs each row stands for.

    `answered`: inputs whose answers passed the checks. Those drawn for a comparison stand for all
    of these, and so do those drawn for a label. Together they may count each input only once, so
    both are scaled by their share of the rows.
    """
    only_labelled = sum(row.stands_for is None for row in rows)
    compared = sum(row.stands_for is not None and not row.failed for row in rows)
    if not only_labelled:
        return [row.stands_for or 1.0 for row in rows]
    both = only_labelled + compared
    return [
        max(1.0, answered / both)
        if row.stands_for is None
        else row.stands_for
        if row.failed
        else row.stands_for * compared / both
        for row in rows
    ]
