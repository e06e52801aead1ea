"""Cancelling a job: at once if it is queued, at its worker's next step if it is running."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.rules.jobs import TERMINAL, CancelRequested, Status
from tierline.services.jobs.running.recover import move
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs.recovery import lock_job


def cancel(connection: Connection[Any], account_id: int, job_id: UUID) -> Status:
    """Request that the job be cancelled. Returns its status after that.

    A queued job is cancelled when this returns. A running one is still in_progress because a call
    is under way; it ends as cancelled unless that call's answer passes. An ended job does not
    change. Raises NotFound if the account has no such job.
    """

    def ask() -> Status:
        with connection.transaction():
            locked = lock_job(connection, job_id)
            if locked is None or locked.account_id != account_id:
                raise NotFound(f"there is no job {job_id}")
            if locked.state.status in TERMINAL or locked.state.cancel_requested:
                return locked.state.status
            return move(connection, locked, CancelRequested()).job.status

    return again_if_moved(ask)
