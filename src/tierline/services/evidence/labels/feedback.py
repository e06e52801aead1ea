"""Feedback: what a person says about a job's answer. It is stored as labels for all training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from psycopg import Connection, Rollback

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem, TierlineError
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON
from tierline.checks.labels import closed_set
from tierline.checks.schema import schema_check
from tierline.rules.jobs import TERMINAL
from tierline.storage.evidence import reviews
from tierline.storage.features.features import stored_version
from tierline.storage.jobs import job_reads
from tierline.views.evidence.feedback import FeedbackRow

MAX_COMMENT = 4000


@dataclass(frozen=True)
class AnswerFeedback:
    """Feedback on an answer. None means not given."""

    correct: bool | None = None
    expected: JSON | None = None
    comment: str | None = None


@dataclass(frozen=True)
class Stored:
    """Feedback that was stored."""

    row: FeedbackRow
    closed: bool  # it answers an open request for a label
    labelled_before: bool  # this key labelled the answer before, on request


def give_feedback(
    connection: Connection[Any],
    account_id: int | None,
    job_id: UUID,
    feedback: AnswerFeedback,
    key_id: int | None = None,
) -> FeedbackRow:
    """Store the feedback. Raises NotFound; InvalidInput if it does not fit the feature; Conflict
    while the job is not ended, and if its output was removed. With `account_id` None, the job may
    be of any account. `key_id`: who says it.

    `expected` must fit the output schema of the job's version: a label that no answer can equal
    would mislead. For a closed set of labels, the label alone is accepted.
    """
    with connection.transaction():
        return store(connection, account_id, job_id, feedback, key_id).row


def store(
    connection: Connection[Any],
    account_id: int | None,
    job_id: UUID,
    feedback: AnswerFeedback,
    key_id: int | None,
) -> Stored:
    """`give_feedback` in the caller's transaction. It closes one open request for a label, if this
    key has not labelled the answer before.
    """
    row = job_reads.job_row(connection, job_id)
    if row is None or account_id not in (None, row["account_id"]):
        raise NotFound(f"there is no job {job_id}")
    if row["status"] not in TERMINAL:
        raise Conflict(f"the job is {row['status']}: give feedback after it has ended")
    if row["output_removed_at"] is not None:
        raise _removed()
    if feedback.correct is None and feedback.expected is None:
        raise InvalidInput([Problem("give `correct`, `expected` or both")])
    expected = feedback.expected
    is_right = feedback.correct
    if expected is not None:
        version = stored_version(connection, row["feature"], row["feature_version"])
        assert version is not None, "versions are never removed"
        output = version.document["output"]
        labels = closed_set(output)
        if labels is not None and isinstance(expected, str) and expected in labels.labels:
            expected = labels.wrap(expected)
        faults = schema_check(output).faults(expected)
        if faults:
            raise InvalidInput(
                [Problem(fault.message, pointer(("expected", *fault.path))) for fault in faults]
            )
        if is_right is None:
            is_right = version.read().compared_by.same(row["output"], expected)
    kept = job_reads.add_feedback(
        connection,
        row["account_id"],
        job_id,
        feedback.correct,
        None if expected is None else json.dumps(expected, ensure_ascii=False),
        feedback.comment,
    )
    if kept is None:
        raise _removed()  # removed after the read above
    if key_id is None:
        return Stored(kept, closed=False, labelled_before=False)
    requests = reviews.lock_of_job(connection, job_id)
    labelled_before = any(one.key_id == key_id for one in requests)
    open_request = next((one for one in requests if one.key_id is None), None)
    if labelled_before or open_request is None:
        return Stored(kept, closed=False, labelled_before=labelled_before)
    reviews.close(connection, open_request.id, key_id, is_right, kept["id"])
    return Stored(kept, closed=True, labelled_before=False)


def give_many(
    connection: Connection[Any],
    account_id: int | None,
    given: Sequence[tuple[UUID, AnswerFeedback]],
    *,
    dry_run: bool = False,
    key_id: int | None = None,
) -> int:
    """Store feedback on many jobs, all of it or nothing. Returns how many items were given.
    `key_id`: who gives it.

    Raises InvalidInput that lists every item that cannot be stored, by its index. With `dry_run`
    nothing is stored; it only checks the items.
    """
    problems: list[tuple[int, Problem]] = []
    left_out = 0
    seen: dict[UUID, int] = {}
    # In the order of the jobs, so that two calls about the same jobs do not wait for each other.
    in_order = sorted(enumerate(given), key=lambda one: one[1][0])
    with connection.transaction() as whole:
        for place, (job_id, feedback) in in_order:
            first = seen.setdefault(job_id, place)
            try:
                if first != place:
                    raise Conflict(f"item {first} is about the same job")
                give_feedback(connection, account_id, job_id, feedback, key_id)
            except InvalidInput as error:
                problems += [
                    (place, replace(one, path=f"/items/{place}{one.path}"))
                    for one in error.problems
                ]
                left_out += error.left_out
            except TierlineError as error:
                problems.append((place, Problem(error.message, f"/items/{place}/job_id")))
        if problems:
            problems.sort(key=lambda one: one[0])
            raise InvalidInput([problem for _, problem in problems], left_out)
        if dry_run:
            raise Rollback(whole)
    return len(given)


def _removed() -> Conflict:
    return Conflict("the job's output was removed, so there is no answer to give feedback on")
