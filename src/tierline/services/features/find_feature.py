"""Applied features: all of them, or one by its name."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.features import Feature
from tierline.storage.features import features
from tierline.storage.features.features import StoredVersion

__all__ = ["StoredVersion", "current_feature", "current_version", "current_versions", "version_of"]


def current_versions(connection: Connection[Any]) -> list[StoredVersion]:
    """Every applied feature's current version, by name."""
    return features.current_versions(connection)


def version_of(connection: Connection[Any], name: str, number: int | None = None) -> StoredVersion:
    """A version of the feature: number `number`, or the current one. Raises NotFound."""
    version = None if "\x00" in name else features.stored_version(connection, name, number)
    if version is None:
        which = "" if number is None else f" version {number} of"
        raise NotFound(f"there is no{which} feature {name[:80]!r}")
    return version


def current_version(connection: Connection[Any], name: str) -> StoredVersion:
    """The version that new jobs get. Raises NotFound."""
    return version_of(connection, name)


def current_feature(connection: Connection[Any], name: str) -> Feature:
    """The feature of that version. Raises NotFound."""
    return current_version(connection, name).read()
