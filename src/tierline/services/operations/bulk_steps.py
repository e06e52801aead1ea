"""The steps of a bulk action: each acts on the next jobs, for about a second.

The dispatcher publishes hints for actions that are due, and a worker of the queue `maintenance`
runs the step. Each job has a transaction of its own under the action's lock, which also stores the
position: if a process is killed, or two run a step at once, no job is handled twice.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection

from tierline.base.errors import LimitReached
from tierline.base.json_text import JSON
from tierline.rules.bulk_actions import (
    Action,
    BulkStatus,
    JobFacts,
    NotDone,
    counted,
    refuse,
)
from tierline.rules.jobs import CancelRequested
from tierline.services.jobs.running.recover import move
from tierline.services.jobs.submitting.run_again import RunAgain
from tierline.services.money.budgets import BudgetSpent
from tierline.services.operations.bulk_actions import details_of, filters_of
from tierline.services.upkeep.retention import remove_content
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs.job_pages import Before
from tierline.storage.jobs.job_search import Examined, examine
from tierline.storage.jobs.recovery import LockedJob, lock_job
from tierline.storage.operations import bulk_actions
from tierline.views.operations.bulk_actions import BulkActionRow

log = structlog.get_logger(__name__)

STEP_S = 1.0  # of one step
EXAMINED = 1_000  # jobs that one statement examines
PAUSE_S = 0.0  # between two steps; the dispatcher looks a few times a second
FULL_PAUSE_S = 5.0  # while the account has its maximum of jobs queued
BUDGET_PAUSE_S = 30.0  # while a hard budget is spent
FAILED_PAUSE_S = 60.0  # after a step that failed
LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
"""Another transaction locks a job for longer than a connection waits. Other jobs do not wait."""


def step_bulk_action(connection: Connection[Any], id: UUID) -> int:
    """Run a step of a running action. Returns to how many jobs something was done. Does nothing if
    the action has ended, or while another process works on it.
    """
    try:
        return _Step(connection, id).run()
    except Exception:
        if not connection.closed:
            bulk_actions.stepped(connection, id, FAILED_PAUSE_S, None)
        raise


@dataclass(frozen=True)
class _Handled:
    """What became of one job."""

    done: bool = False
    over: bool = False  # the action has ended, or another process works on it
    waits_for: str | None = None


class _Step:
    """One step."""

    def __init__(self, connection: Connection[Any], id: UUID) -> None:
        self._connection = connection
        self._id = id
        self._again: RunAgain | None = None

    def run(self) -> int:
        row = bulk_actions.running(self._connection, self._id)
        if row is None:
            return 0
        filters, details = filters_of(row["filter"]), details_of(row["filter"])
        until_s = time.monotonic() + STEP_S
        before = Before(row["position"])
        done = 0
        while time.monotonic() < until_s:
            jobs = examine(self._connection, row["account_id"], filters, before, EXAMINED, details)
            for job in jobs:
                if not job.matches:
                    continue
                handled = again_if_moved(partial(self._handle, job))
                done += handled.done
                if handled.over:
                    return done
                if handled.waits_for is not None:
                    pause_s = FULL_PAUSE_S if handled.waits_for == "queue" else BUDGET_PAUSE_S
                    bulk_actions.stepped(self._connection, self._id, pause_s, handled.waits_for)
                    return done
                if time.monotonic() >= until_s:
                    break
            else:
                if not self._examined(jobs[-1].seq if jobs else None, len(jobs)):
                    return done
                before = Before(jobs[-1].seq, jobs[-1].id)
        bulk_actions.stepped(self._connection, self._id, PAUSE_S, None)
        return done

    def _examined(self, last: int | None, count: int) -> bool:
        """Store how far the walk has come. False: the action has ended with it, or before."""
        with self._connection.transaction():
            row = bulk_actions.lock_running(self._connection, self._id)
            if row is None:
                return False
            if last is not None:
                bulk_actions.move(self._connection, self._id, last)
            if count == EXAMINED:
                return True
            self._end(row)
        return False

    def _handle(self, job: Examined) -> _Handled:
        """Act on one job, once. A whole transaction."""
        try:
            with self._connection.transaction():
                row = bulk_actions.lock_running(self._connection, self._id)
                if row is None:
                    return _Handled(over=True)
                if row["position"] <= job.seq:
                    return _Handled()  # another process has handled it
                if row["most"] is not None and row["done"] + row["failed"] >= row["most"]:
                    self._end(row)
                    return _Handled(over=True)
                return self._act(row, job)
        except LimitReached as full:
            self._again = None  # count again at the next step
            return _Handled(waits_for="budget" if isinstance(full, BudgetSpent) else "queue")

    def _act(self, row: BulkActionRow, job: Examined) -> _Handled:
        try:
            with self._connection.transaction():
                self._do(row, job.id)
        except NotDone as refused:
            return self._failed(row, job, refused)
        except LOCKED:
            return self._failed(row, job, NotDone("locked", "another transaction held the job"))
        bulk_actions.write_done(self._connection, self._id, job.seq)
        return _Handled(done=True)

    def _failed(self, row: BulkActionRow, job: Examined, refused: NotDone) -> _Handled:
        errors = counted(row["errors"], refused.reason, refused.message, str(job.id))
        bulk_actions.write_failed(self._connection, self._id, job.seq, errors)
        return _Handled()

    def _do(self, row: BulkActionRow, job_id: UUID) -> None:
        """Raises NotDone, LimitReached."""
        action = Action(row["action"])
        account_id = row["account_id"]
        locked = lock_job(self._connection, job_id)
        request = bulk_actions.request_of(self._connection, account_id, job_id)
        if locked is None or request is None:
            raise NotDone("gone", "the job was removed")
        refuse(
            action,
            JobFacts(
                locked.state.status,
                request["draft"],
                input_removed=request["input_removed_at"] is not None,
            ),
        )
        if action is Action.CANCEL:
            self._cancel(locked)
        elif action is Action.REMOVE_CONTENT:
            remove_content(self._connection, account_id, job_id)
        else:
            again = self._again = self._again or RunAgain(self._connection, account_id)
            signals: dict[str, JSON] = {"bulk_action": str(self._id), "of_job": str(job_id)}
            if action is Action.RETRY:
                again.submit(request, signals)
            else:
                again.submit_deeper(request, locked.tier, signals)

    def _cancel(self, locked: LockedJob) -> None:
        if not locked.state.cancel_requested:
            move(self._connection, locked, CancelRequested())

    def _end(self, row: BulkActionRow) -> None:
        bulk_actions.end(self._connection, row["account_id"], self._id, BulkStatus.COMPLETED)
        log.info(
            "bulk_action_completed",
            bulk_action=str(self._id),
            action=row["action"],
            done=row["done"],
            failed=row["failed"],
        )
