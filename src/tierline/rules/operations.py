"""The life of an operation: a long piece of work that the server does for whoever asked for it.

    queued ──claimed──► in_progress ──────► completed | failed
      ▲  │                  │  └─cancel asked before──► cancelled
      │  └─cancel           │
      └──── lease lost ─────┘

Pure: nothing here reads a clock or a database. The states are those of a job, without `expired`.
"""

import re
import signal
from dataclasses import dataclass

from tierline.base.errors import TierlineError
from tierline.rules.jobs import Status

OPEN = (Status.QUEUED, Status.IN_PROGRESS)

MOST_LOSSES = 3
"""Leases lost before an operation fails: each time its calculation begins anew."""

# Exit codes of the child process that does the calculation. What it ends by itself is 0: the row
# says how. The others are those of <sysexits.h> where one fits.
DONE = 0
CRASHED = 70  # EX_SOFTWARE: an error that is the product's own; it is in the log
OUT_OF_MEMORY = 71  # EX_OSERR
AWAY = 75  # EX_TEMPFAIL: the database did not answer


@dataclass(frozen=True)
class Failure:
    """Why an operation failed, as its caller reads it."""

    code: str
    message: str


@dataclass(frozen=True)
class Change:
    """What becomes of an operation in progress."""

    status: Status
    losses: int
    failure: Failure | None = None


def refused(error: TierlineError) -> Failure:
    """What the operation found that its caller has to change; the code is the error's name."""
    code = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    return Failure(code, error.message)


def extra_missing(library: str) -> Failure:
    """A library that the calculation needs is not installed where it runs."""
    return Failure(
        "extra_missing",
        f"this needs the extra `routing` where the process 'trainer' runs ({library} is missing):"
        " 'make setup' installs it",
    )


def after_loss(losses: int, *, cancel_requested: bool) -> Change:
    """Its lease is lost, after `losses` that were lost before."""
    losses += 1
    if cancel_requested:
        return Change(Status.CANCELLED, losses)
    if losses < MOST_LOSSES:
        return Change(Status.QUEUED, losses)
    lost = Failure("worker_lost", f"the process that worked on it was lost {losses} times")
    return Change(Status.FAILED, losses, lost)


def after_exit(code: int, losses: int, *, cancel_requested: bool, memory_mb: int) -> Change:
    """Its child process ended with that exit code, negative for a signal, and left it open."""
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
        # A library that gets no memory often ends the process instead of saying so.
        return Failure(
            "crashed", f"its process was ended by {_name(-code)}; if it was out of memory: {limit}"
        )
    return Failure("crashed", "it stopped on an error that is in the log of the process 'trainer'")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
