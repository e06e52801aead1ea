"""Retention: content is removed after the time that its feature sets, or at once on request.

docs/features.md says what is removed and what stays. The statements are in `storage.retention`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.errors import Conflict, NotFound
from tierline.base.ids import first_id_of
from tierline.features import Retention
from tierline.rules.jobs import TERMINAL
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs.recovery import lock_job
from tierline.storage.upkeep import due_content, retention
from tierline.storage.upkeep.due_content import Walk
from tierline.storage.upkeep.retention import Policy, What

log = structlog.get_logger(__name__)

AT_ONCE = 200  # jobs per transaction: about 10 ms of locks on rows that have ended
BODIES_AT_ONCE = 500
BATCHES_AT_ONCE = 100
PROBLEMS_AT_ONCE = 1000
DAY_S = 86_400.0
LAG = timedelta(minutes=5)
"""Most jobs end so soon after their creation. A walk passes a job only when that time is over as
well, so that few jobs have to be noted; until then each round reads them again."""
FIRST_LEFT = (datetime(1970, 1, 1, tzinfo=UTC), due_content.BEGINNING)


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
                removed += _walk(connection, policy, one, until_s)
            _forget_old_problems(connection, policy, until_s)
        while time.monotonic() < until_s:
            if retention.drop_bodies(connection, BODIES_AT_ONCE) < BODIES_AT_ONCE:
                break
    return removed


def _look_again(connection: Connection[Any], policy: Policy, until_s: float) -> None:
    """Make content that was kept for its label due again, if the feature no longer keeps it."""
    while time.monotonic() < until_s:
        with connection.transaction():
            job_ids = retention.look_again(connection, policy.version_ids, AT_ONCE)
            for content in ("inputs", "outputs"):
                due_content.note(connection, content, job_ids)
        if len(job_ids) < AT_ONCE:
            break


def _walk(connection: Connection[Any], policy: Policy, one: Pass, until_s: float) -> int:
    """Remove one kind of content of a feature's jobs that is due. Returns the number of jobs."""
    walk = due_content.walk_of(
        connection, policy.feature, policy.version_ids, one.walk, one.days * DAY_S
    )
    keep = policy.retention.keep_labelled
    removed = _walk_left(connection, walk, one, until_s, keep=keep)
    place: UUID | None = due_content.position(connection, walk)
    passed = first_id_of(walk.due - LAG, timedelta(0))
    while place is not None and time.monotonic() < until_s:
        page = due_content.next_page(connection, walk, place)
        for job_ids in _parts(page.due):
            removed += _remove(connection, walk, job_ids, one, keep=keep)
        due_content.note(connection, walk.content, [id for id in page.later if id < passed])
        due_content.move(connection, walk, passed if page.last is None else min(page.last, passed))
        place = page.last
    return removed


def _walk_left(
    connection: Connection[Any], walk: Walk, one: Pass, until_s: float, *, keep: bool
) -> int:
    """The same for the jobs that the walk passed before their content was due."""
    removed = 0
    place: tuple[datetime, UUID] | None = FIRST_LEFT
    while place is not None and time.monotonic() < until_s:
        page = due_content.left_page(connection, walk, place, AT_ONCE)
        due_content.note(connection, walk.content, page.later)
        due_content.forget(connection, walk, page.done)
        if page.due:
            removed += _remove(connection, walk, page.due, one, keep=keep)
        place = page.last
    return removed


def _parts(job_ids: list[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, len(job_ids), AT_ONCE):
        yield job_ids[start : start + AT_ONCE]


def _remove(
    connection: Connection[Any], walk: Walk, job_ids: list[UUID], one: Pass, *, keep: bool
) -> int:
    """Remove the content of jobs. Those that another transaction holds are noted for later."""
    with connection.transaction():
        locked = retention.lock_ended(connection, job_ids, one.walk)
        handled = set(locked)
        if keep:
            # Checked under the locks, so that concurrent feedback either counts or is refused.
            labelled = retention.labelled(connection, locked)
            if labelled:
                retention.pass_by(connection, labelled)
            locked = [job_id for job_id in locked if job_id not in labelled]
        if locked:
            retention.remove(connection, locked, one.remove, keep_feedback=keep)
    # Afterwards, so that nobody waits for these rows while jobs are locked.
    due_content.forget(connection, walk, handled)
    due_content.note(connection, walk.content, set(job_ids) - handled)
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
