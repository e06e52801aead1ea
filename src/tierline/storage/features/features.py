"""Feature versions. They are immutable, so a version that was read once can be cached for ever.

`features` names the version that new jobs get. A version below 0 is a draft, which only its own
jobs use.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.features.stored import UnreadableFeature, read_stored
from tierline.rules.purposes import Purpose

log = structlog.get_logger(__name__)

APPLY_LOCK = 0x7E21_0003  # serialises applications, so that version numbers have no gaps

_CURRENT = """
SELECT v.id, v.name, v.version, v.document
FROM features f JOIN feature_versions v ON v.id = f.version_id
WHERE f.name = %s
"""


_COLUMNS = "id, name, version, source, document, fingerprint, applied_at"


@dataclass(frozen=True)
class CurrentVersion:
    """The version of a feature that new jobs get; for a draft, that its own jobs get."""

    id: int
    version: int
    feature: Feature


@dataclass(frozen=True)
class StoredVersion:
    """One applied version."""

    id: int
    name: str
    version: int
    source: str
    document: Mapping[str, JSON]
    fingerprint: str
    applied_at: datetime

    def read(self) -> Feature:
        """Raises UnreadableFeature if it is from a later release."""
        return read_stored(self.name, self.version, self.document)


def first_calls(feature: Feature, purpose: Purpose | None = None) -> dict[str, dict[str, str]]:
    """The first call of each tier, which a claim records: {tier: {"model", "purpose"}}.

    `purpose`: the purpose of all calls of its jobs; None: each call has its own.
    """
    return {
        tier.name: {
            "model": str(tier.models[0]),
            "purpose": purpose or _first_purpose(feature, tier),
        }
        for tier in feature.tiers
    }


def _first_purpose(feature: Feature, tier: Tier) -> Purpose:
    confidence = feature.confidence_of(tier)
    if tier.steps:
        return Purpose.STEP
    if confidence is not None and confidence.signal == "label_logprob":
        return Purpose.LABEL_SCORE
    return Purpose.ANSWER


def load_version(connection: Connection[Any], version_id: int) -> Feature:
    """The feature of a version. Raises KeyError if there is none of that id, UnreadableFeature if
    it is from a later release.
    """
    row = connection.execute(
        "SELECT name, version, document FROM feature_versions WHERE id = %s", (version_id,)
    ).fetchone()
    if row is None:
        raise KeyError(version_id)
    return read_stored(*row)


def current_version_ids(connection: Connection[Any]) -> list[int]:
    """The versions that new jobs get, of every applied feature."""
    return [one for (one,) in connection.execute("SELECT version_id FROM features")]


def current_version(connection: Connection[Any], name: str) -> CurrentVersion | None:
    """The version that new jobs of `name` get; None if it was never applied."""
    row = connection.execute(_CURRENT, (name,)).fetchone()
    return None if row is None else _current(row)


async def current_version_async(
    connection: AsyncConnection[Any], name: str
) -> CurrentVersion | None:
    """`current_version`, for the API's hot path."""
    row = await (await connection.execute(_CURRENT, (name,))).fetchone()
    return None if row is None else _current(row)


def names(connection: Connection[Any]) -> list[str]:
    """The names of the applied features."""
    rows = connection.execute("SELECT name FROM features ORDER BY name")
    return [name for (name,) in rows]


async def names_async(connection: AsyncConnection[Any]) -> list[str]:
    """`names`, for the API's hot path."""
    rows = await connection.execute("SELECT name FROM features ORDER BY name")
    return [name for (name,) in await rows.fetchall()]


def current_versions(connection: Connection[Any]) -> list[StoredVersion]:
    """Every applied feature's current version, by name."""
    return _stored(
        connection,
        "SELECT v.id, v.name, v.version, v.source, v.document, v.fingerprint, v.applied_at"
        " FROM features f JOIN feature_versions v ON v.id = f.version_id ORDER BY v.name",
    )


def stored_version(
    connection: Connection[Any], name: str, version: int | None = None
) -> StoredVersion | None:
    """One version, by default the current one; None if there is none."""
    versions = _stored(
        connection,
        "SELECT v.id, v.name, v.version, v.source, v.document, v.fingerprint, v.applied_at"
        " FROM feature_versions v LEFT JOIN features f ON f.version_id = v.id"
        " WHERE v.name = %(name)s AND CASE WHEN %(version)s::int IS NULL"
        " THEN f.name IS NOT NULL ELSE v.version = %(version)s END",
        {"name": name, "version": version},
    )
    return versions[0] if versions else None


def readable(versions: Iterable[StoredVersion]) -> Iterator[Feature]:
    """The features of those versions that this release can read; the others are logged."""
    for version in versions:
        try:
            yield version.read()
        except UnreadableFeature as error:
            log.warning("feature_version_left_out", reason=error.message)


def hold_applications(connection: Connection[Any]) -> None:
    """Block other applications until the end of this transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPLY_LOCK,))


def add_version(
    connection: Connection[Any], feature: Feature, source: str
) -> tuple[StoredVersion, bool]:
    """Make `feature` the version that new jobs get. Returns it, and whether anything changed.

    The same document as the current version changes nothing. Applications are serialised, so that
    two at once become two versions in some order. Call it in a transaction.
    """
    hold_applications(connection)
    present = stored_version(connection, feature.name)
    if present is not None and present.fingerprint == feature.fingerprint():
        return present, False
    added = _stored(
        connection,
        "INSERT INTO feature_versions"
        " (name, version, document, source, fingerprint, first_calls)"
        " SELECT %(name)s, greatest(max(version), 0) + 1, %(document)s, %(source)s,"
        " %(fingerprint)s, %(first_calls)s FROM feature_versions WHERE name = %(name)s"
        f" RETURNING {_COLUMNS}",
        {
            "name": feature.name,
            "document": json.dumps(feature.to_dict()),
            "source": source,
            "fingerprint": feature.fingerprint(),
            "first_calls": json.dumps(first_calls(feature)),
        },
    )[0]
    connection.execute(
        "INSERT INTO features (name, version_id) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET version_id = excluded.version_id",
        (feature.name, added.id),
    )
    return added, True


def add_draft(
    connection: Connection[Any],
    feature: Feature,
    source: str,
    calls: Mapping[str, Mapping[str, str]] | None = None,
) -> StoredVersion:
    """Store `feature` as a draft, which new jobs do not get. An existing draft of the same document
    is reused.

    Its number counts down from -1. Its time is that of the last call here. `calls`: the first call
    of each tier, which a claim records; None: as `first_calls` says. Call it in a transaction.
    """
    hold_applications(connection)
    parameters = {
        "name": feature.name,
        "document": json.dumps(feature.to_dict()),
        "source": source,
        "fingerprint": feature.fingerprint(),
        "first_calls": json.dumps(first_calls(feature) if calls is None else calls),
    }
    kept = _stored(
        connection,
        "UPDATE feature_versions SET applied_at = clock_timestamp(), source = %(source)s,"
        " first_calls = %(first_calls)s"
        " WHERE name = %(name)s AND fingerprint = %(fingerprint)s AND version < 0"
        f" RETURNING {_COLUMNS}",
        parameters,
    )
    if kept:
        return kept[0]
    return _stored(
        connection,
        "INSERT INTO feature_versions"
        " (name, version, document, source, fingerprint, first_calls)"
        " SELECT %(name)s, least(min(version), 0) - 1, %(document)s, %(source)s,"
        " %(fingerprint)s, %(first_calls)s FROM feature_versions WHERE name = %(name)s"
        f" RETURNING {_COLUMNS}",
        parameters,
    )[0]


async def draft_version_async(
    connection: AsyncConnection[Any], version_id: int
) -> CurrentVersion | None:
    """A draft's version, for its jobs; None if there is none of that id, or it is a judge's, whose
    jobs only compare outcomes.
    """
    row = await (
        await connection.execute(
            "SELECT id, name, version, document FROM feature_versions"
            " WHERE id = %s AND version < 0 AND first_calls <> '{}'",
            (version_id,),
        )
    ).fetchone()
    return None if row is None else _current(row)


def draft_documents(connection: Connection[Any], within_s: float) -> list[Mapping[str, JSON]]:
    """The documents of the drafts that were tried in the last `within_s` seconds."""
    rows = connection.execute(
        "SELECT document FROM feature_versions WHERE version < 0"
        " AND applied_at > clock_timestamp() - make_interval(secs => %s)",
        (within_s,),
    )
    return [document for (document,) in rows]


def _current(row: tuple[int, str, int, Mapping[str, JSON]]) -> CurrentVersion:
    id, name, version, document = row
    return CurrentVersion(id, version, read_stored(name, version, document))


def _stored(
    connection: Connection[Any], statement: str, parameters: Mapping[str, object] | None = None
) -> list[StoredVersion]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [StoredVersion(**row) for row in cursor.execute(statement, parameters)]
