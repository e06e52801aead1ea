"""Feature versions: immutable once written, so what was read once holds for ever.

`features` says which version new jobs get; changing it is the only update here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

from tierline.features import Feature
from tierline.json_text import JSON

APPLY_LOCK = 0x7E21_0003  # one application at a time: version numbers have no gaps

_CURRENT = """
SELECT v.id, v.version, v.document FROM features f JOIN feature_versions v ON v.id = f.version_id
WHERE f.name = %s
"""


@dataclass(frozen=True)
class CurrentVersion:
    """The version of a feature that new jobs get."""

    id: int
    version: int
    feature: Feature


@dataclass(frozen=True)
class StoredVersion:
    """One version as it was applied."""

    id: int
    name: str
    version: int
    source: str
    document: Mapping[str, JSON]
    fingerprint: str
    applied_at: datetime


def first_calls(feature: Feature) -> dict[str, dict[str, str]]:
    """What a claim books as the first call of each tier: {tier: {"model", "purpose"}}."""
    found = {}
    for tier in feature.tiers:
        confidence = feature.confidence_of(tier)
        by_label = confidence is not None and confidence.signal == "label_logprob"
        found[tier.name] = {
            "model": str(tier.models[0]),
            "purpose": "step" if tier.steps else "label_score" if by_label else "answer",
        }
    return found


def load_version(connection: Connection[Any], version_id: int) -> Feature:
    """The feature of a version. Raises KeyError when there is none of that id."""
    row = connection.execute(
        "SELECT document FROM feature_versions WHERE id = %s", (version_id,)
    ).fetchone()
    if row is None:
        raise KeyError(version_id)
    return Feature.from_dict(row[0])


def current_version_ids(connection: Connection[Any]) -> list[int]:
    """The versions that new jobs get, of every applied feature."""
    return [one for (one,) in connection.execute("SELECT version_id FROM features")]


def current_version(connection: Connection[Any], name: str) -> CurrentVersion | None:
    """The version that new jobs of `name` get; None when it was never applied."""
    row = connection.execute(_CURRENT, (name,)).fetchone()
    return None if row is None else CurrentVersion(row[0], row[1], Feature.from_dict(row[2]))


async def current_version_async(
    connection: AsyncConnection[Any], name: str
) -> CurrentVersion | None:
    """`current_version`, for the API's hot path."""
    row = await (await connection.execute(_CURRENT, (name,))).fetchone()
    return None if row is None else CurrentVersion(row[0], row[1], Feature.from_dict(row[2]))


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
    """One version, the current one unless said; None when there is none."""
    found = _stored(
        connection,
        "SELECT v.id, v.name, v.version, v.source, v.document, v.fingerprint, v.applied_at"
        " FROM feature_versions v LEFT JOIN features f ON f.version_id = v.id"
        " WHERE v.name = %(name)s AND CASE WHEN %(version)s::int IS NULL"
        " THEN f.name IS NOT NULL ELSE v.version = %(version)s END",
        {"name": name, "version": version},
    )
    return found[0] if found else None


def add_version(
    connection: Connection[Any], feature: Feature, source: str
) -> tuple[StoredVersion, bool]:
    """Make `feature` the version that new jobs get. Returns it, and whether anything changed.

    The same document as the current version is not a new one. Applications are serialised, so that
    two at once become two versions in some order.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPLY_LOCK,))
        present = stored_version(connection, feature.name)
        if present is not None and present.fingerprint == feature.fingerprint():
            return present, False
        added = _stored(
            connection,
            "INSERT INTO feature_versions"
            " (name, version, document, source, fingerprint, first_calls)"
            " SELECT %(name)s, coalesce(max(version), 0) + 1, %(document)s, %(source)s,"
            " %(fingerprint)s, %(first_calls)s FROM feature_versions WHERE name = %(name)s"
            " RETURNING id, name, version, source, document, fingerprint, applied_at",
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


def _stored(
    connection: Connection[Any], statement: str, parameters: Mapping[str, object] | None = None
) -> list[StoredVersion]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [StoredVersion(**row) for row in cursor.execute(statement, parameters)]
