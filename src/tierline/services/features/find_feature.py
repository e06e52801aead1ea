"""A feature by its name, as it is applied now."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.features import Feature
from tierline.storage.features.features import StoredVersion, stored_version


def current_version(connection: Connection[Any], name: str) -> StoredVersion:
    """The version that new jobs get. Raises NotFound."""
    version = None if "\x00" in name else stored_version(connection, name)
    if version is None:
        raise NotFound(f"there is no feature {name[:80]!r}")
    return version


def current_feature(connection: Connection[Any], name: str) -> Feature:
    """The feature of that version. Raises NotFound."""
    return current_version(connection, name).read()
