"""Which jobs a bulk action applies to, and how it counts the others."""

import itertools

import pytest

from tierline.rules.bulk_actions import (
    MOST_EXAMPLES,
    Action,
    JobFacts,
    NotDone,
    Reason,
    counted,
    refuse,
)
from tierline.rules.jobs import TERMINAL, Status


def reason(action: Action, status: Status, *, draft: bool = False, removed: bool = False) -> str:
    try:
        refuse(action, JobFacts(status, draft, removed))
    except NotDone as refused:
        return refused.reason
    return ""


@pytest.mark.parametrize(("action", "status"), list(itertools.product(Action, Status)))
def test_an_action_applies_to_jobs_by_their_status(action: Action, status: Status) -> None:
    refusal = reason(action, status)
    if action is Action.CANCEL:
        assert refusal == ("ended_already" if status in TERMINAL else "")
    elif status not in TERMINAL:
        assert refusal == "not_ended"
    elif action is Action.RETRY and status is Status.COMPLETED:
        assert refusal == "completed"
    else:
        assert refusal == ""


def test_only_what_still_has_its_input_is_run_again() -> None:
    for action in (Action.RETRY, Action.DEEPER_ANALYSIS):
        assert reason(action, Status.FAILED, removed=True) == "input_removed"
        assert reason(action, Status.FAILED, draft=True) == "draft"
    assert reason(Action.REMOVE_CONTENT, Status.FAILED, draft=True, removed=True) == ""


def test_errors_are_counted_by_reason_with_a_few_jobs() -> None:
    errors: dict[str, Reason] = {}
    for number in range(8):
        errors = counted(errors, "draft", "the job ran a draft", f"job {number}")
    errors = counted(errors, "gone", "the job was removed", "another")
    assert errors["draft"]["count"] == 8
    assert errors["draft"]["job_ids"] == [f"job {number}" for number in range(MOST_EXAMPLES)]
    assert errors["gone"] == Reason(count=1, message="the job was removed", job_ids=["another"])
