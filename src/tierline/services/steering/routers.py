"""Trained routers: keeping them, and asking the one in force before the first tier."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.formats import when
from tierline.base.json_text import JSON
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.before_call import is_routed
from tierline.routing.complexity import Complexity
from tierline.routing.fingerprint import Recipes, recipe
from tierline.routing.trained import Prediction, by_rules, from_parts, predict
from tierline.services.calls.embedding import Embedding
from tierline.services.features.find_feature import current_feature
from tierline.services.steering.artefacts import Artefacts
from tierline.storage.evidence.labelled_log import labelled
from tierline.storage.steering.artefacts import add_artefact, list_artefacts, withdraw_artefact

Row = Mapping[str, Any]


@dataclass
class Routers:
    """The routers in this process. May be shared by threads."""

    pool: ConnectionPool[Any]
    embedding: Embedding
    _kept: Artefacts[Complexity] = field(init=False)
    _recipes: Recipes = field(default_factory=Recipes)

    def __post_init__(self) -> None:
        self._kept = Artefacts(self.pool, "routers", from_parts)

    def prediction(
        self, feature: Feature, tier: Tier, input: JSON, keep_on: Callable[[], bool]
    ) -> Prediction:
        """The risk that the tier fails: by the router in force, or by rules if none can be asked.

        Raises GaveUp.
        """
        assert feature.complexity is not None, "asked for routed features only"
        text = input_text(input)
        kept = self._kept.in_force(feature.name, self._recipes.of(feature, tier), keep_on)
        if kept.artefact is None:
            return by_rules(text, feature.complexity.longest)
        vector = None
        if kept.artefact.meaning is not None:
            vector = self.embedding.of(text)
            if vector is None:
                return by_rules(text, feature.complexity.longest)
        return predict(kept.artefact, text, vector, f"router {kept.id}")


def training_data(
    connection: Connection[Any], name: str, account_id: int | None = None
) -> list[dict[str, JSON]]:
    """What the feature's first tier got right or wrong, of one account's jobs or of all.

    Raises NotFound, Conflict.
    """
    _, tier = _routed(connection, name)
    return [
        {
            "job_id": str(row["job_id"]),
            "input": row["input"],
            "right": row["is_right"],
        }
        for row in labelled(connection, name, tier.name, account_id)
    ]


def add_router(
    connection: Connection[Any],
    name: str,
    *,
    rows: int,
    right_rows: int,
    data_sha256: str,
    quality: JSON,
    document: JSON,
    vectors: bytes | None,
) -> dict[str, JSON]:
    """Keep a trained router. It is in force within seconds, for the feature's present prompt.

    Raises NotFound, Conflict, and InvalidInput for what is no router.
    """
    feature, tier = _routed(connection, name)
    try:
        from_parts(document, vectors)
    except ImportError:
        raise Conflict(
            "a router with embeddings needs the extra 'routing' where the API runs: 'make setup' "
            "brings it"
        ) from None
    except ValueError as error:
        raise InvalidInput([Problem(str(error), "/document")]) from None
    row = add_artefact(
        connection,
        "routers",
        {
            "feature": name,
            "recipe": recipe(feature, tier),
            "rows": rows,
            "right_rows": right_rows,
            "data_sha256": data_sha256,
            "quality": quality,
            "document": document,
        },
        vectors,
    )
    return router_json(row)


def routers_of(connection: Connection[Any], name: str) -> list[dict[str, JSON]]:
    """A feature's routers, the newest first. Raises NotFound."""
    current_feature(connection, name)
    return [router_json(row) for row in list_artefacts(connection, "routers", name)]


def withdraw_router(connection: Connection[Any], name: str, id: int) -> dict[str, JSON]:
    """Withdraw a router: within seconds the one before it decides, or rules. Raises NotFound."""
    row = withdraw_artefact(connection, "routers", name, id)
    if row is None:
        raise NotFound(f"the feature {name[:80]!r} has no router {id}")
    return router_json(row)


def router_json(row: Row) -> dict[str, JSON]:
    """A router as the API shows it."""
    return {
        "id": str(row["id"]),
        "feature": row["feature"],
        "rows": row["rows"],
        "right_rows": row["right_rows"],
        "data_sha256": row["data_sha256"],
        "with_embeddings": row["with_embeddings"],
        "quality": row["quality"],
        "trained_at": when(row["trained_at"]),
        "withdrawn_at": when(row["withdrawn_at"]),
    }


def _routed(connection: Connection[Any], name: str) -> tuple[Feature, Tier]:
    feature = current_feature(connection, name)
    tier = feature.allowed_tiers()[0]
    if not is_routed(feature, tier):
        raise Conflict(
            f"{name} does not route by complexity: give it 'complexity: {{max_risk: 0.5}}' and "
            "apply it"
        )
    return feature, tier
