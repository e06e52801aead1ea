"""Drafts: a feature file that is tried before it is applied.

A draft is a version that nobody's jobs get but its own, so that a file is tried on the real queues,
models and checks while the installation goes on with what is applied.
"""

from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection

from tierline.base.errors import FeatureError, Problem
from tierline.features import Feature
from tierline.services.features.apply_feature import read_usable
from tierline.storage.features import features
from tierline.storage.features.features import StoredVersion


@dataclass(frozen=True)
class Draft:
    """A file that is kept as a draft."""

    feature: Feature
    version: StoredVersion
    warnings: tuple[str, ...]


def keep_draft(connection: Connection[Any], text: str, tier: str | None = None) -> Draft:
    """The file's feature as a draft; `tier`: with that tier alone.

    The same document again is the same draft. Raises FeatureError with lines.
    """
    feature, warnings = read_usable(connection, text)
    if tier is not None:
        names = [one.name for one in feature.tiers]
        if tier not in names:
            raise FeatureError(
                [Problem(f"has no tier {tier[:63]!r}; its tiers are {', '.join(names)}", "/tiers")]
            )
        feature = feature.only(tier)
    # No job sees the cases: with others it is the same draft.
    version = features.add_draft(connection, replace(feature, cases=()), text)
    return Draft(feature, version, tuple(warnings))
