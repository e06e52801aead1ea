"""Retention: content is removed after the time that its feature sets, or at once on request.

docs/features.md says what is removed and what stays. The statements are in `storage.retention`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.errors import Conflict, NotFound
from tierline.features import Retention
from tierline.rules.jobs import TERMINAL
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs.recovery import lock_job
from tierline.storage.upkeep import retention
from tierline.storage.upkeep.retention import Place, Policy, What

log = structlog.get_logger(__name__)

AT_ONCE = 200  # jobs per transaction: about 10 ms of locks on rows that have ended
BODIES_AT_ONCE = 500
BATCHES_AT_ONCE = 100
PROBLEMS_AT_ONCE = 1000
DAY_S = 86_400.0
FIRST: Place = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))  # before every job


@dataclass(frozen=True)
class Pass:
    """One walk through a feature's jobs: jobs that have `walk` for `days` lose `remove`."""

    walk: What
    remove: What
    days: float


def passes(kept: Retention) -> list[Pass]:
    """The walks, in order. Content with the shorter time is removed with that of the longer."""
    walks = []
    if kept.outputs_days is not None:
        inputs_too = kept.inputs_days is not None and kept.inputs_days <= kept.outputs_days
        remove = What(inputs=inputs_too, outputs=True)
        walks.append(Pass(What(inputs=False, outputs=True), remove, kept.outputs_days))
    if kept.inputs_days is not None:
        outputs_too = kept.outputs_days is not None and kept.outputs_days <= kept.inputs_days
        remove = What(inputs=True, outputs=outputs_too)
        walks.append(Pass(What(inputs=True, outputs=False), remove, kept.inputs_days))
    return walks


def remove_content(connection: Connection[Any], account_id: int, job_id: UUID) -> None:
    """Remove the input and output of an ended job now. A repeat changes nothing.

    Feedback stays if the feature keeps labelled content. Raises NotFound if the account has no such
    job, Conflict if the job has not ended.
    """

    def remove() -> None:
        with connection.transaction():
            locked = lock_job(connection, job_id)
            if locked is None or locked.account_id != account_id:
                raise NotFound(f"there is no job {job_id}")
            if locked.state.status not in TERMINAL:
                raise Conflict(
                    f"the job is {locked.state.status}: cancel it, or wait until it has ended"
                )
            keep = retention.keeps_labelled(connection, job_id)
            both = What(inputs=True, outputs=True)
            retention.remove(connection, [job_id], both, keep_feedback=keep)

    again_if_moved(remove)
    log.info("content_removed", job_id=str(job_id))


def remove_due(pool: ConnectionPool[Any], until_s: float) -> int:
    """Remove content older than its feature allows. Returns the number of jobs.

    Works in small transactions until the monotonic time `until_s`; the next round continues. Safe
    to run in several processes at once.
    """
    removed = 0
    with pool.connection() as connection:
        for policy in retention.policies(connection):
            if not policy.retention.keep_labelled:
                _look_again(connection, policy, until_s)
            for one in passes(policy.retention):
                for version_id in policy.version_ids:
                    removed += _walk(connection, policy, one, version_id, until_s)
            _forget_old_problems(connection, policy, until_s)
        while time.monotonic() < until_s:
            if retention.drop_bodies(connection, BODIES_AT_ONCE) < BODIES_AT_ONCE:
                break
    return removed


def _look_again(connection: Connection[Any], policy: Policy, until_s: float) -> None:
    """Make content that was kept for its label due again, if the feature no longer keeps it."""
    while time.monotonic() < until_s:
        if retention.look_again(connection, policy.version_ids, AT_ONCE) < AT_ONCE:
            break


def _walk(
    connection: Connection[Any], policy: Policy, one: Pass, version_id: int, until_s: float
) -> int:
    removed = 0
    place = FIRST
    keep = policy.retention.keep_labelled
    while time.monotonic() < until_s:
        due = retention.due(
            connection,
            version_id,
            one.walk,
            one.days * DAY_S,
            after=place,
            most=AT_ONCE,
        )
        if due:
            removed += _remove(connection, [job_id for _, job_id in due], one, keep=keep)
            place = due[-1]
        if len(due) < AT_ONCE:
            break
    return removed


def _remove(connection: Connection[Any], job_ids: list[UUID], one: Pass, *, keep: bool) -> int:
    with connection.transaction():
        locked = retention.lock_ended(connection, job_ids, one.walk)
        if keep:
            # Checked under the locks, so that concurrent feedback either counts or is refused.
            labelled = retention.labelled(connection, locked)
            if labelled:
                retention.pass_by(connection, labelled)
            locked = [job_id for job_id in locked if job_id not in labelled]
        if locked:
            retention.remove(connection, locked, one.remove, keep_feedback=keep)
    return len(locked)


def forget_problems(connection: Connection[Any], batch_id: UUID, until_s: float) -> bool:
    """Remove the problems of a batch's invalid rows, because they may quote inputs.

    Returns whether that was completed by the monotonic time `until_s`; a repeat continues.
    """
    for _ in _problems_of(connection, batch_id):
        if time.monotonic() > until_s:
            return False
    retention.note_forgotten(connection, batch_id)
    return True


def _forget_old_problems(connection: Connection[Any], policy: Policy, until_s: float) -> None:
    days = policy.retention.inputs_days
    if days is None:
        return
    batch_ids = retention.batches_due(connection, policy.version_ids, days * DAY_S, BATCHES_AT_ONCE)
    for batch_id in batch_ids:
        if not forget_problems(connection, batch_id, until_s):
            return


def _problems_of(connection: Connection[Any], batch_id: UUID) -> Iterator[int]:
    """Remove the problems a chunk at a time. Yields where each chunk ended."""
    place: int | None = 0
    while place is not None:
        place = retention.forget_problems(connection, batch_id, place, PROBLEMS_AT_ONCE)
        if place is not None:
            yield place
