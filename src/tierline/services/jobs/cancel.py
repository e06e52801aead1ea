"""Cancelling a job: at once while it is queued, at its worker's next step while it runs."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.rules.jobs import TERMINAL, CancelAsked, Status
from tierline.services.jobs.recover import move
from tierline.storage.jobs.recovery import lock_job


def cancel(connection: Connection[Any], account_id: int, job_id: UUID) -> Status:
    """Ask that the job be cancelled. Returns its status after that.

    A queued job is cancelled when this returns. A running one is still in_progress: a call is under
    way, and the job ends as cancelled unless that call's answer passes. An ended job stays as it
    is. Raises NotFound for a job that is not the account's.
    """
    with connection.transaction():
        locked = lock_job(connection, job_id)
        if locked is None or locked.account_id != account_id:
            raise NotFound(f"there is no job {job_id}")
        if locked.state.status in TERMINAL or locked.state.cancel_requested:
            return locked.state.status
        return move(connection, locked, CancelAsked()).job.status
