"""Finds jobs whose content is due to be removed, without an index of all jobs.

A job's id begins with the time of its creation, so a walk along the primary key is a walk in time.
Each feature with a retention has a position for its inputs and one for its outputs: the jobs before
it are removed, kept for their label, or noted one by one (`retention_left`), because they ended
much later than they were created. An installation without a retention writes and reads nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import first_id_of
from tierline.storage.db.clock import now
from tierline.storage.upkeep.retention import What

BEGINNING = UUID(int=0)  # before every job
READ_AT_ONCE = 2_000  # jobs of all features: a few ms

POSITION = "SELECT up_to FROM retention_positions WHERE feature = %s AND content = %s"

MOVE = """
INSERT INTO retention_positions AS p (feature, content, up_to) VALUES (%s, %s, %s)
ON CONFLICT (feature, content) DO UPDATE SET up_to = greatest(p.up_to, excluded.up_to)
"""

# {kept}: whether it still has such content.
NEXT = """
WITH page AS MATERIALIZED (
    SELECT id, feature_version_id, completed_at, {kept} IS NULL AND NOT passed_by AS kept
    FROM jobs WHERE id >= %(after)s AND id < %(before)s ORDER BY id LIMIT %(most)s
)
SELECT (SELECT id FROM page ORDER BY id DESC LIMIT 1), (SELECT count(*) FROM page),
    coalesce((SELECT json_agg(json_build_array(id, completed_at) ORDER BY id) FROM page
        WHERE kept AND feature_version_id = ANY(%(versions)s)), '[]')
"""

LEFT = """
SELECT l.ended_after, l.job_id, j.completed_at, j.id IS NOT NULL AND j.{kept} IS NULL
    AND NOT j.passed_by
FROM retention_left l LEFT JOIN jobs j ON j.id = l.job_id
WHERE l.feature_version_id = ANY(%(versions)s) AND l.content = %(content)s
    AND l.ended_after < %(due)s AND (l.ended_after, l.job_id) > (%(at)s, %(id)s)
ORDER BY l.ended_after, l.job_id LIMIT %(most)s
"""

NOTE = """
INSERT INTO retention_left (job_id, content, feature_version_id, ended_after)
SELECT id, %(content)s, feature_version_id, coalesce(completed_at, clock_timestamp())
FROM jobs WHERE id = ANY(%(ids)s) ORDER BY id
ON CONFLICT (job_id, content) DO UPDATE SET ended_after = excluded.ended_after
"""

# In a sweep beside this one, the same jobs may be noted now. It handles them itself.
FORGET = """
DELETE FROM retention_left WHERE content = %(content)s AND job_id = ANY(ARRAY(
    SELECT job_id FROM retention_left
    WHERE job_id = ANY(%(ids)s) AND content = %(content)s FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True)
class Walk:
    """The walk through one feature's jobs for one kind of content."""

    feature: str
    version_ids: tuple[int, ...]
    what: What  # names one of the two
    due: datetime  # content of jobs that ended before this is due

    @property
    def content(self) -> str:
        return "inputs" if self.what.inputs else "outputs"

    @property
    def kept(self) -> str:
        """The column that tells whether a job still has such content."""
        return "input_removed_at" if self.what.inputs else "output_removed_at"


@dataclass(frozen=True)
class Page:
    """A part of a walk."""

    due: list[UUID]  # jobs whose content is due
    later: list[UUID]  # jobs that have not ended, or ended later
    last: UUID | None  # the walk continues behind it; None: it is complete


@dataclass(frozen=True)
class LeftPage:
    """A part of the jobs that were noted."""

    due: list[UUID]
    later: list[UUID]  # they turned out to have ended later, or have not ended
    done: list[UUID]  # they have no such content any more, or are kept for their label
    last: tuple[datetime, UUID] | None  # None: that was the last part


def walk_of(
    connection: Connection[Any],
    feature: str,
    version_ids: Collection[int],
    what: What,
    older_than_s: float,
) -> Walk:
    """The walk for content of jobs that ended more than `older_than_s` seconds ago."""
    due = now(connection) - timedelta(seconds=older_than_s)
    return Walk(feature, tuple(version_ids), what, due)


def position(connection: Connection[Any], walk: Walk) -> UUID:
    """Where the walk continues."""
    row = connection.execute(POSITION, (walk.feature, walk.content)).fetchone()
    return BEGINNING if row is None else row[0]


def move(connection: Connection[Any], walk: Walk, up_to: UUID) -> None:
    """Record that all jobs before `up_to` are handled. It never moves back."""
    connection.execute(MOVE, (walk.feature, walk.content, up_to))


def next_page(connection: Connection[Any], walk: Walk, after: UUID) -> Page:
    """The next jobs from `after` on that were created before the content is due.

    It reads READ_AT_ONCE jobs, of whatever feature. None is locked.
    """
    row = connection.execute(
        NEXT.format(kept=walk.kept),
        {
            "after": after,
            "before": first_id_of(walk.due, timedelta(0)),
            "most": READ_AT_ONCE,
            "versions": list(walk.version_ids),
        },
    ).fetchone()
    assert row is not None, "a SELECT of three expressions gives one row"
    last, count, jobs = row
    due: list[UUID] = []
    later: list[UUID] = []
    for id, completed_at in jobs:
        ended = None if completed_at is None else datetime.fromisoformat(completed_at)
        (due if ended is not None and ended < walk.due else later).append(UUID(id))
    return Page(due, later, last if count == READ_AT_ONCE else None)


def left_page(
    connection: Connection[Any], walk: Walk, after: tuple[datetime, UUID], most: int
) -> LeftPage:
    """The next jobs that were noted and may be due by now, at most `most`."""
    rows = connection.execute(
        LEFT.format(kept=walk.kept),
        {
            "versions": list(walk.version_ids),
            "content": walk.content,
            "due": walk.due,
            "at": after[0],
            "id": after[1],
            "most": most,
        },
    ).fetchall()
    page = LeftPage([], [], [], (rows[-1][0], rows[-1][1]) if len(rows) == most else None)
    for _, job_id, completed_at, kept in rows:
        if not kept:
            page.done.append(job_id)
        elif completed_at is not None and completed_at < walk.due:
            page.due.append(job_id)
        else:
            page.later.append(job_id)
    return page


def note(connection: Connection[Any], walk_content: str, job_ids: Iterable[UUID]) -> None:
    """Note jobs that the walk passed and that must be looked at again."""
    ids = list(job_ids)
    if ids:
        connection.execute(NOTE, {"content": walk_content, "ids": ids})


def forget(connection: Connection[Any], walk: Walk, job_ids: Iterable[UUID]) -> None:
    """Remove notes of jobs that are handled."""
    ids = list(job_ids)
    if ids:
        connection.execute(FORGET, {"content": walk.content, "ids": ids})
