"""The router in force, which a worker asks before it calls the first tier."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg_pool import ConnectionPool

from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.learned.trained import (
    Prediction,
    Router,
    by_rules,
    from_parts,
    needs_vectors,
    predict,
)
from tierline.routing.thresholds.fingerprint import Recipes
from tierline.services.calls.embedding import Embedding
from tierline.services.steering.artefacts import Artefacts


@dataclass
class Routers:
    """The routers in this process. Thread-safe."""

    pool: ConnectionPool[Any]
    embedding: Embedding
    _kept: Artefacts[Router] = field(init=False)
    _recipes: Recipes = field(default_factory=Recipes)

    def __post_init__(self) -> None:
        self._kept = Artefacts(self.pool, "routers", from_parts)

    def prediction(
        self, feature: Feature, tier: Tier, input: JSON, keep_on: Callable[[], bool]
    ) -> Prediction:
        """The risk that the tier fails, by the router in force, or by rules if none can be used.

        Raises GaveUp.
        """
        assert feature.complexity is not None, "only routed features come here"
        text = input_text(input)
        kept = self._kept.in_force(feature.name, self._recipes.of(feature, tier), keep_on)
        if kept.artefact is None:
            return by_rules(text, feature.complexity.longest)
        vector = None
        if needs_vectors(kept.artefact):
            vector = self.embedding.of(text)
            if vector is None:
                return by_rules(text, feature.complexity.longest)
        return predict(kept.artefact, text, vector, f"router {kept.id}")
