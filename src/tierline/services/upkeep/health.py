"""What a process reads from Postgres to report the installation's health.

The caller compares the heartbeats of two readings and decides what they mean.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection

from tierline.features.stored import UnreadableFeature
from tierline.services.features.apply_feature import missing_around
from tierline.services.features.provider_keys import read_keys
from tierline.storage.calls import circuits
from tierline.storage.db import revisions
from tierline.storage.features.features import current_versions, load_version
from tierline.storage.jobs import queue_reads


class Revisions:
    """The database revisions that this release knows."""

    def __init__(self) -> None:
        self.head = revisions.head()  # the revision that this release is written for
        self.known = revisions.all_revisions()


@dataclass(frozen=True)
class Around:
    """The processes and models around this one."""

    beats: list[tuple[UUID, list[str], int, int]]  # workers: id, queues, threads, heartbeat
    dispatchers: int  # connected to the database
    circuits: dict[str, str]  # model with an open circuit → since when, and why


async def revision(connection: AsyncConnection[Any]) -> str | None:
    """The database's current revision. Raises UndefinedTable if it was never migrated."""
    return await queue_reads.revision(connection)


async def takes_writes(connection: AsyncConnection[Any]) -> bool:
    """Whether transactions may write: not on a replica, and not if read-only is the default."""
    return await queue_reads.takes_writes(connection)


async def look_around(connection: AsyncConnection[Any]) -> Around:
    """Read the processes and circuits. The database must have this release's revision."""
    return Around(
        beats=await queue_reads.beats(connection),
        dispatchers=await queue_reads.dispatchers(connection),
        circuits={
            model: f"open since {opened_at:%H:%M:%S} UTC: {reason}"
            for model, reason, opened_at in await circuits.reasons(connection)
        },
    )


class FeatureWatch:
    """Finds features that cannot run as they are. One per process, because it remembers which
    versions this release can read."""

    def __init__(self) -> None:
        self._readable: set[int] = set()  # versions with waiting jobs

    def problems(self, connection: Connection[Any]) -> dict[str, str]:
        """By `feature:NAME`, what is missing for an applied feature; by `feature:NAME:VERSION`, a
        version with waiting jobs that a later release applied."""
        missing_parts: dict[str, str] = {}
        current = current_versions(connection)
        keys = read_keys(connection)
        for version in current:
            try:
                missing = missing_around(version.read(), keys)
            except UnreadableFeature as error:
                missing_parts |= _unreadable(error)
                continue
            if missing:
                missing_parts[f"feature:{version.name}"] = "; ".join(missing)
        waiting = set(queue_reads.versions_waiting(connection))
        for version_id in waiting - {one.id for one in current} - self._readable:
            try:
                load_version(connection, version_id)
                self._readable.add(version_id)
            except UnreadableFeature as error:
                missing_parts |= _unreadable(error)
        self._readable &= waiting
        return missing_parts


def _unreadable(error: UnreadableFeature) -> dict[str, str]:
    return {f"feature:{error.name}:{error.version}": error.message}
