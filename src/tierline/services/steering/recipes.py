"""The recipe of a tier in its position. Outcomes and calibrations belong to one recipe."""

from typing import Any

from psycopg import Connection

from tierline.base.json_text import canonical_json
from tierline.features import Feature, Tier
from tierline.routing.thresholds.fingerprint import behind, recipe
from tierline.storage.evidence.calibrations import deciding


def recipe_of(connection: Connection[Any], feature: Feature, tier: Tier) -> str:
    """The recipe of the first tier is `fingerprint.recipe` alone. That of a later tier also covers
    what decides which jobs reach it: the earlier tiers, their models, and the calibrations and
    routers in force there.
    """
    before: list[str] = []
    asked_by: list[str] = []
    for one in feature.allowed_tiers():
        own = recipe(feature, one)
        if before:
            own = behind(own, [*before, *asked_by], deciding(connection, before))
        if one is tier:
            return own
        before.append(own)
        asked_by.append(", ".join(str(model) for model in one.models))
        if feature.complexity is not None and len(before) == 1:
            asked_by.append(canonical_json(feature.complexity.to_dict()))
    raise KeyError(tier.name)
