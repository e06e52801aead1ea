"""Finds files of an installed wheel without importing it."""

import importlib.metadata
from pathlib import Path


def wheel_file(distribution: str, ending: str) -> Path | None:
    """The first file of an installed distribution whose path has that ending, or None."""
    try:
        files = importlib.metadata.distribution(distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if str(file).endswith(ending):
            return Path(str(file.locate()))
    return None
