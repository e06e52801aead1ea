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
from tierline.storage.steering.artefacts import ArtefactRow, NewArtefact, Table
from tierline.views.training.steering import MicroModel, MicroModelWithPromise, Router
from tierline.views.training.trainings import TrainingResult

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

    def result(
        self, *, micro_model: MicroModelWithPromise | None = None, router: Router | None = None
    ) -> JSON:
        """The result of the operation: the stored artefact and its quality."""
        result = TrainingResult(
            micro_model=micro_model,
            router=router,
            rows=self.rows,
            right_rows=self.right_rows,
            quality=self.quality,
        )
        return result.model_dump(mode="json", exclude_unset=True)


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
) -> ArtefactRow:
    """Store the artefact. Returns the new row, which is in use within seconds. `recipe` says what
    it was trained for: the task digest for a micro model, the tier's recipe for a router. `inputs`
    holds 8 bytes of the digest of each training input of a micro model.
    """
    new = NewArtefact(
        feature=feature,
        recipe=recipe,
        rows=trained.rows,
        right_rows=trained.right_rows,
        data_sha256=trained.data_sha256,
        quality=trained.quality,
        document=trained.document,
        trained_by=by,
        vectors=trained.vectors,
        inputs=inputs,
    )
    return artefacts.add_artefact(connection, kind.table, new)


def routers_of(connection: Connection[Any], feature: str) -> list[Router]:
    """The feature's routers, newest first. Raises NotFound."""
    return [Router.model_validate(row) for row in _artefacts_of(connection, ROUTERS, feature)]


def micro_models_of(connection: Connection[Any], feature: str) -> list[MicroModel]:
    """The feature's micro models, newest first. Raises NotFound."""
    rows = _artefacts_of(connection, MICRO_MODELS, feature)
    return [MicroModel.model_validate(named(row)) for row in rows]


def withdraw_router(connection: Connection[Any], feature: str, id: int) -> Router:
    """Withdraw a router. Within seconds the previous one is used, or none. Raises NotFound."""
    return Router.model_validate(_withdraw(connection, ROUTERS, feature, id))


def withdraw_micro_model(connection: Connection[Any], feature: str, id: int) -> MicroModel:
    """Withdraw a micro model. Within seconds the previous one answers, or none. Raises NotFound."""
    return MicroModel.model_validate(named(_withdraw(connection, MICRO_MODELS, feature, id)))


def named(row: ArtefactRow) -> dict[str, Any]:
    """The fields of a micro model, with the name that attempts use for it."""
    return {**vars(row), "model": name_of(row.id)}


def sha256_of(rows: Sequence[Mapping[str, JSON]]) -> str:
    """The SHA-256 that identifies the rows of a training."""
    return hashlib.sha256(canonical_json(list(rows)).encode()).hexdigest()


def _artefacts_of(connection: Connection[Any], kind: Kind, feature: str) -> list[ArtefactRow]:
    current_feature(connection, feature)
    return artefacts.list_artefacts(connection, kind.table, feature)


def _withdraw(connection: Connection[Any], kind: Kind, feature: str, id: int) -> ArtefactRow:
    row = artefacts.withdraw_artefact(connection, kind.table, feature, id)
    if row is None:
        raise NotFound(f"the feature {feature[:80]!r} has no {kind.noun} {id}")
    return row
