"""Drafts: a feature file that is tried before it is applied.

A draft is a version that only its own jobs use. So a file is tried on the real queues, models and
checks while the applied version stays in use.
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
    """A file that is stored as a draft."""

    feature: Feature
    version: StoredVersion
    warnings: tuple[str, ...]


def keep_draft(connection: Connection[Any], text: str, tier: str | None = None) -> Draft:
    """Store the file's feature as a draft; with `tier`, only with that tier.

    The same document gives the same draft. Raises FeatureError with lines.
    """
    feature, warnings = read_usable(connection, text)
    if tier is not None:
        names = [one.name for one in feature.tiers]
        if tier not in names:
            raise FeatureError(
                [Problem(f"has no tier {tier[:63]!r}; its tiers are {', '.join(names)}", "/tiers")]
            )
        feature = feature.only(tier)
    # Jobs do not depend on the cases, so files that differ only in cases give the same draft.
    with connection.transaction():
        version = features.add_draft(connection, replace(feature, cases=()), text)
    return Draft(feature, version, tuple(warnings))
