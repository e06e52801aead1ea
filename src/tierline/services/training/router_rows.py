"""The rows that a router is trained on: the first tier's answers, each with whether a later tier
would improve the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection

from tierline.features import Feature, Tier
from tierline.features.comparison import Comparison
from tierline.routing.thresholds.promise import fits
from tierline.services.evidence.labels.label_verdicts import is_wrong
from tierline.storage.evidence.labelled_log import MOST_ROWS, LoggedAnswer, count_answered, labelled
from tierline.views.training.steering import TrainingRow


def router_rows(
    connection: Connection[Any], feature: Feature, tier: Tier, account_id: int | None
) -> list[TrainingRow]:
    """The tier's answers whose truth is known, the newest first; of one account or of all.

    An answer of which only people know whether it is right counts if it was drawn for a label.
    Three quarters of these are left out: those on which a calibration tests a promise.
    """
    newest = labelled(connection, feature.name, tier.name, account_id)
    # As far back as the rows reach: failed answers are among them no further.
    since = min(row.job_id for row in newest) if len(newest) == MOST_ROWS else None
    kept = [
        _Row(row, loses)
        for row in map(_untested, newest)
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


def _untested(row: LoggedAnswer) -> LoggedAnswer | None:
    """The row without what a calibration by people tests. None: nothing else is known about it.

    No calibration tests an answer that failed a check.
    """
    if row.failed or fits(str(row.job_id)):
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
