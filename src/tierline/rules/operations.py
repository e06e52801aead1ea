"""The life of an operation: a long calculation that the server does for a caller.

    queued ──claimed──► in_progress ──────► completed | failed
      ▲  │                  │  └─cancel asked before──► cancelled
      │  └─cancel           │
      └──── lease lost ─────┘

Pure: nothing here reads a clock or a database. The states are those of a job, without `expired`.
"""

import signal
from dataclasses import dataclass

from tierline.base.errors import Conflict, NotEnoughData, NotFound, TierlineError
from tierline.rules.jobs import Status

OPEN = (Status.QUEUED, Status.IN_PROGRESS)

MOST_LOSSES = 3
"""Lost leases before an operation fails. After each loss the calculation starts again."""

EXTRA_MISSING = "extra_missing"  # a Failure's code

# Exit codes of the child process that calculates. After 0, the operation's row has the result. The
# others are those of <sysexits.h> where one fits.
DONE = 0
CRASHED = 70  # EX_SOFTWARE: a bug in the product; the log has the error
OUT_OF_MEMORY = 71  # EX_OSERR
AWAY = 75  # EX_TEMPFAIL: the database did not answer


@dataclass(frozen=True)
class Failure:
    """Why an operation failed, as its caller reads it."""

    code: str
    message: str


@dataclass(frozen=True)
class Change:
    """The next state of an operation in progress."""

    status: Status
    losses: int
    failure: Failure | None = None


def refused(error: TierlineError) -> Failure:
    """The operation found an error that its caller must correct."""
    match error:
        case NotEnoughData():
            code = "not_enough_data"
        case NotFound():
            code = "not_found"
        case Conflict():
            code = "conflict"
        case _:
            code = "refused"
    return Failure(code, error.message)


def extra_missing(library: str) -> Failure:
    """A library that the calculation needs is not installed where it runs."""
    return Failure(
        EXTRA_MISSING,
        f"this needs the extra `routing` where the process 'trainer' runs ({library} is missing):"
        " 'make setup' installs it",
    )


def after_loss(losses: int, *, cancel_requested: bool) -> Change:
    """The change after its lease is lost; `losses` counts the earlier lost leases."""
    losses += 1
    if cancel_requested:
        return Change(Status.CANCELLED, losses)
    if losses < MOST_LOSSES:
        return Change(Status.QUEUED, losses)
    lost = Failure("worker_lost", f"the process that worked on it was lost {losses} times")
    return Change(Status.FAILED, losses, lost)


def after_limit(losses: int, limit_s: float) -> Change:
    """The change after its time limit. It is not started again: it would take as long."""
    failure = Failure(
        "timeout", f"it took longer than it may: its limit is TIERLINE_OPERATION_MAX_S={limit_s:g}"
    )
    return Change(Status.FAILED, losses, failure)


def after_exit(code: int, losses: int, *, cancel_requested: bool, memory_mb: int) -> Change:
    """The change if its child process ended with this exit code (negative: a signal) and wrote no
    result.
    """
    if cancel_requested:
        return Change(Status.CANCELLED, losses)
    if code == AWAY:
        return after_loss(losses, cancel_requested=False)
    return Change(Status.FAILED, losses, _failure(code, memory_mb))


def _failure(code: int, memory_mb: int) -> Failure:
    limit = f"its limit is TIERLINE_TRAINING_MEMORY_MB={memory_mb}"
    if code == OUT_OF_MEMORY:
        return Failure("out_of_memory", f"it needed more memory than it may have: {limit}")
    if code == -signal.SIGKILL:
        return Failure(
            "killed", f"its process was killed by the system, which may be out of memory; {limit}"
        )
    if code < 0:
        # Some libraries end the process when they get no memory, instead of reporting it.
        return Failure(
            "crashed", f"its process was ended by {_name(-code)}; if it was out of memory: {limit}"
        )
    return Failure("crashed", "it stopped on an error that is in the log of the process 'trainer'")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
