"""Trained artefacts, micro models and routers: keeping, listing and withdrawing them.

What was trained on the server may found a promise. What a client trained and uploaded may not: what
it says of itself, its scores and the inputs that it has seen, is not known to be true.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection

from tierline.base.errors import NotFound
from tierline.base.json_text import JSON, canonical_json
from tierline.services.features.find_feature import current_feature
from tierline.services.steering.micro import name_of
from tierline.storage.steering import artefacts
from tierline.storage.steering.artefacts import Table

Row = Mapping[str, Any]
TrainedBy = Literal["server", "client"]


@dataclass(frozen=True)
class Kind:
    """One of the two kinds of artefact."""

    table: Table
    noun: str


@dataclass(frozen=True)
class Trained:
    """What came out of a training, as it is kept."""

    rows: int  # that it was trained on
    right_rows: int  # micro models: answered right under cross-validation; routers: by the tier
    data_sha256: str
    quality: JSON
    document: JSON
    vectors: bytes | None

    def result(self, *, micro_model: JSON = None, router: JSON = None) -> dict[str, JSON]:
        """What the operation tells: the artefact that was kept, and how good it is."""
        return {
            "micro_model": micro_model,
            "router": router,
            "rows": self.rows,
            "right_rows": self.right_rows,
            "quality": self.quality,
        }


MICRO_MODELS = Kind("micro_models", "micro model")
ROUTERS = Kind("routers", "router")


def keep(
    connection: Connection[Any],
    kind: Kind,
    feature: str,
    recipe: str,
    trained: Trained,
    by: TrainedBy,
    inputs: bytes | None = None,
) -> Row:
    """The new row, which counts within seconds. `recipe`: what it was trained for, a micro model's
    task digest, a router's recipe. `inputs`: 8 bytes of the digest of each input that a micro model
    has seen.
    """
    row = artefacts.add_artefact(
        connection,
        kind.table,
        {
            "feature": feature,
            "recipe": recipe,
            "rows": trained.rows,
            "right_rows": trained.right_rows,
            "data_sha256": trained.data_sha256,
            "quality": trained.quality,
            "document": trained.document,
            "trained_by": by,
        },
        trained.vectors,
        inputs,
    )
    return _named(row)


def artefacts_of(connection: Connection[Any], kind: Kind, feature: str) -> list[Row]:
    """A feature's, the newest first. Raises NotFound."""
    current_feature(connection, feature)
    return [_named(row) for row in artefacts.list_artefacts(connection, kind.table, feature)]


def withdraw(connection: Connection[Any], kind: Kind, feature: str, id: int) -> Row:
    """End one: within seconds the one before it counts, or none does. Raises NotFound."""
    row = artefacts.withdraw_artefact(connection, kind.table, feature, id)
    if row is None:
        raise NotFound(f"the feature {feature[:80]!r} has no {kind.noun} {id}")
    return _named(row)


def _named(row: Row) -> Row:
    """With what attempts call it, if it is a micro model."""
    return {**row, "model": name_of(row["id"])}


def sha256_of(rows: Sequence[Row]) -> str:
    """What tells the rows of one training from those of another."""
    return hashlib.sha256(canonical_json(list(rows)).encode()).hexdigest()
