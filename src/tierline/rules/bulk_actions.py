"""Bulk actions: one action on all jobs of an account that match a filter.

    running ──no job is left──► completed
       └────────abort─────────► aborted

It walks from the newest job to the oldest. Its position is stored in the transaction that acts on a
job, so each job is handled once. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from tierline.base.errors import Conflict
from tierline.rules.jobs import TERMINAL, Status

MOST_EXAMPLES = 5  # jobs that are named for each reason


class Action(StrEnum):
    RETRY = "retry"  # run a failed, cancelled or expired job again, as a new job
    CANCEL = "cancel"
    DEEPER_ANALYSIS = "deeper_analysis"  # run an ended job again, from the next tier on
    REMOVE_CONTENT = "remove_content"  # remove the input and outputs of an ended job


RUNS_AGAIN = frozenset({Action.RETRY, Action.DEEPER_ANALYSIS})
"""The actions that make new jobs, which cost money."""


class BulkStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    ABORTED = "aborted"


class NotDone(Conflict):
    """The action does not apply to a job. `reason`: what it is counted under."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Reason(TypedDict):
    """How often the action did not apply to a job for one reason."""

    count: int
    message: str
    job_ids: list[str]  # the first MOST_EXAMPLES


@dataclass(frozen=True)
class JobFacts:
    """What decides whether an action applies to a job."""

    status: Status
    draft: bool
    input_removed: bool


def refuse(action: Action, job: JobFacts) -> None:
    """Raises NotDone if the action does not apply to such a job."""
    ended = job.status in TERMINAL
    if action is Action.CANCEL:
        if ended:
            raise NotDone("ended_already", "the job had ended")
        return
    if not ended:
        raise NotDone("not_ended", "the job has not ended: cancel it, or wait")
    if action is Action.REMOVE_CONTENT:
        return
    if action is Action.RETRY and job.status is Status.COMPLETED:
        raise NotDone("completed", "the job is completed: only other jobs are retried")
    if job.draft:
        raise NotDone("draft", "the job ran a draft, which is not applied")
    if job.input_removed:
        raise NotDone("input_removed", "the job's input was removed")


def counted(
    errors: Mapping[str, Reason], reason: str, message: str, job_id: str
) -> dict[str, Reason]:
    """The errors with one more job."""
    before = errors.get(reason)
    if before is None:
        return {**errors, reason: Reason(count=1, message=message, job_ids=[job_id])}
    job_ids = before["job_ids"]
    if len(job_ids) < MOST_EXAMPLES:
        job_ids = [*job_ids, job_id]
    more = Reason(count=before["count"] + 1, message=before["message"], job_ids=job_ids)
    return {**errors, reason: more}
