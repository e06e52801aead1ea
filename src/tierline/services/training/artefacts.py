"""Storing, listing and withdrawing trained artefacts: micro models and routers.

A promise may be based on an artefact that was trained on the server. It may not be based on one
that a client trained and uploaded, because the server cannot verify its scores and training inputs.
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
    """The result of a training, as it is stored."""

    rows: int  # number of training rows
    # micro models: rows answered right under cross-validation; routers: rows the tier got right
    right_rows: int
    data_sha256: str
    quality: JSON
    document: JSON
    vectors: bytes | None

    def result(self, *, micro_model: JSON = None, router: JSON = None) -> dict[str, JSON]:
        """The result of the operation: the stored artefact and its quality."""
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
    """Store the artefact. Returns the new row, which is in use within seconds. `recipe` says what
    it was trained for: the task digest for a micro model, the tier's recipe for a router. `inputs`
    holds 8 bytes of the digest of each training input of a micro model.
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
    """The feature's artefacts of this kind, newest first. Raises NotFound."""
    current_feature(connection, feature)
    return [_named(row) for row in artefacts.list_artefacts(connection, kind.table, feature)]


def withdraw(connection: Connection[Any], kind: Kind, feature: str, id: int) -> Row:
    """Withdraw one. Within seconds the previous one is used, or none. Raises NotFound."""
    row = artefacts.withdraw_artefact(connection, kind.table, feature, id)
    if row is None:
        raise NotFound(f"the feature {feature[:80]!r} has no {kind.noun} {id}")
    return _named(row)


def _named(row: Row) -> Row:
    """Add the model name that attempts use for a micro model."""
    return {**row, "model": name_of(row["id"])}


def sha256_of(rows: Sequence[Row]) -> str:
    """The SHA-256 that identifies the rows of a training."""
    return hashlib.sha256(canonical_json(list(rows)).encode()).hexdigest()
