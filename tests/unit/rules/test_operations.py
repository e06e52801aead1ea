"""What becomes of an operation whose process ended or was lost."""

import signal

import pytest

from tierline.base.errors import Conflict, NotEnoughData, NotFound, UsageError
from tierline.rules.jobs import Status
from tierline.rules.operations import (
    AWAY,
    CRASHED,
    MOST_LOSSES,
    OUT_OF_MEMORY,
    Change,
    after_exit,
    after_limit,
    after_loss,
    extra_missing,
    refused,
)


def test_a_lost_lease_puts_it_back_until_too_many_were_lost() -> None:
    change = Change(Status.QUEUED, 0)
    for losses in range(1, MOST_LOSSES):
        change = after_loss(change.losses, cancel_requested=False)
        assert change == Change(Status.QUEUED, losses)
    last = after_loss(change.losses, cancel_requested=False)
    assert last.status is Status.FAILED
    assert last.failure is not None
    assert last.failure.code == "worker_lost"
    assert "lost 3 times" in last.failure.message


def test_a_lost_lease_of_what_is_to_be_cancelled_cancels_it() -> None:
    assert after_loss(0, cancel_requested=True) == Change(Status.CANCELLED, 1)


@pytest.mark.parametrize(
    ("code", "failure", "words"),
    [
        (OUT_OF_MEMORY, "out_of_memory", "TIERLINE_TRAINING_MEMORY_MB=512"),
        (CRASHED, "crashed", "in the log of the process 'trainer'"),
        (-signal.SIGKILL, "killed", "may be out of memory"),
        (-signal.SIGABRT, "crashed", "SIGABRT"),
        (-200, "crashed", "signal 200"),
        (1, "crashed", "in the log"),
    ],
)
def test_a_child_that_broke_off_fails_it_with_the_reason(
    code: int, failure: str, words: str
) -> None:
    change = after_exit(code, 1, cancel_requested=False, memory_mb=512)
    assert (change.status, change.losses) == (Status.FAILED, 1)
    assert change.failure is not None
    assert change.failure.code == failure
    assert words in change.failure.message


def test_a_child_that_lost_the_database_is_started_again_as_after_a_lost_lease() -> None:
    assert after_exit(AWAY, 0, cancel_requested=False, memory_mb=512) == Change(Status.QUEUED, 1)


def test_a_child_that_was_killed_for_a_cancel_ends_cancelled() -> None:
    change = after_exit(-signal.SIGKILL, 0, cancel_requested=True, memory_mb=512)
    assert change == Change(Status.CANCELLED, 0)


def test_a_refusal_is_named_by_its_kind() -> None:
    assert refused(NotEnoughData("too few")).code == "not_enough_data"
    assert refused(Conflict("so")).code == "conflict"
    assert refused(UsageError("how")).code == "refused"
    assert refused(NotFound("not so")).message == "not so"
    assert "sklearn is missing" in extra_missing("sklearn").message


def test_a_run_past_its_time_limit_fails_it_and_names_the_limit() -> None:
    change = after_limit(1, 14_400.0)
    assert (change.status, change.losses) == (Status.FAILED, 1)
    assert change.failure is not None
    assert change.failure.code == "timeout"
    assert "TIERLINE_OPERATION_MAX_S=14400" in change.failure.message
