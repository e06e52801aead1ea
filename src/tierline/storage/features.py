"""Feature versions: immutable rows, and which of them new jobs get."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tierline.errors import NotFound
from tierline.features import Feature

APPLY_LOCK = 0x7E21_0003  # one apply at a time: version numbers have no gaps


@dataclass(frozen=True)
class FeatureVersion:
    """One version as it is kept."""

    id: int
    name: str
    version: int
    feature: Feature
    source: str
    fingerprint: str
    applied_at: datetime
    current: bool


_COLUMNS = """
SELECT v.id, v.name, v.version, v.document, v.source, v.fingerprint, v.applied_at,
    f.version_id = v.id AS current
FROM feature_versions v JOIN features f ON f.name = v.name
"""
CURRENT = _COLUMNS + " WHERE f.version_id = v.id AND v.name = %s"
ALL_CURRENT = _COLUMNS + " WHERE f.version_id = v.id ORDER BY v.name"


def first_calls(feature: Feature) -> dict[str, dict[str, str]]:
    """What a claim books as its first call, by tier: the model and the purpose."""
    found = {}
    for tier in feature.tiers:
        confidence = feature.confidence_of(tier)
        scores = confidence is not None and confidence.signal == "label_logprob"
        purpose = "label_score" if scores else "answer"
        found[tier.name] = {"model": str(tier.models[0]), "purpose": purpose}
    return found


def read_version(row: Mapping[str, Any]) -> FeatureVersion:
    """A row of `CURRENT`, `ALL_CURRENT` or the like."""
    values = dict(row)
    return FeatureVersion(feature=Feature.from_dict(values.pop("document")), **values)


def load_version(connection: Connection[Any], version_id: int) -> Feature:
    """The feature of a version; it never changes, so it may be kept for ever."""
    row = connection.execute(
        "SELECT document FROM feature_versions WHERE id = %s", (version_id,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no feature version {version_id}")
    return Feature.from_dict(row[0])


def current(connection: Connection[Any], name: str) -> FeatureVersion | None:
    """The version that new jobs get; None when there is no such feature."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(CURRENT, (name,)).fetchone()
        return None if row is None else read_version(row)


def version(connection: Connection[Any], name: str, number: int) -> FeatureVersion | None:
    """One version by its number."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            _COLUMNS + " WHERE v.name = %s AND v.version = %s", (name, number)
        ).fetchone()
        return None if row is None else read_version(row)


def all_current(connection: Connection[Any]) -> list[FeatureVersion]:
    """Each feature's current version, by name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [read_version(row) for row in cursor.execute(ALL_CURRENT)]


def apply(
    connection: Connection[Any], feature: Feature, source: str
) -> tuple[FeatureVersion, bool]:
    """Make `feature` the current version of its name. Returns it and whether that is new.

    The same document as the current version's is that version again.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (APPLY_LOCK,))
        known = current(connection, feature.name)
        if known is not None and known.fingerprint == feature.fingerprint():
            return known, False
        connection.execute(
            """
            WITH added AS (
                INSERT INTO feature_versions
                    (name, version, document, source, fingerprint, first_calls)
                SELECT %(name)s, coalesce(max(version), 0) + 1, %(document)s, %(source)s,
                    %(fingerprint)s, %(first_calls)s
                FROM feature_versions WHERE name = %(name)s
                RETURNING id, name
            )
            INSERT INTO features (name, version_id) SELECT name, id FROM added
            ON CONFLICT (name) DO UPDATE SET version_id = excluded.version_id
            """,
            {
                "name": feature.name,
                "document": Jsonb(feature.to_dict()),
                "source": source,
                "fingerprint": feature.fingerprint(),
                "first_calls": Jsonb(first_calls(feature)),
            },
        )
        applied = current(connection, feature.name)
        assert applied is not None
        return applied, True
