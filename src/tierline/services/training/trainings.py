"""Starting, following and cancelling trainings: operations that make a micro model or a router."""

from collections.abc import Callable, Mapping
from typing import Any

from psycopg import Connection

from tierline.services.features.find_feature import current_feature
from tierline.services.operations import requests
from tierline.services.operations.requests import Request
from tierline.services.training.micro_models import micro_tier
from tierline.services.training.routers import routed_tier
from tierline.storage.operations import operations
from tierline.views.trainings import Training

NOUN = "training"
ALLOWED: Mapping[str, Callable[[Connection[Any], str], object]] = {
    "micro_model": micro_tier,
    "router": routed_tier,
}
"""By kind, what raises NotFound or Conflict for a feature that has no use for one."""


def start(connection: Connection[Any], request: Request, kind: str) -> tuple[Training, bool]:
    """The training, and whether it is new: one that is queued or in progress with the same options
    is the one that is meant. Raises NotFound, and Conflict for a feature that has no use for such
    an artefact or trains one with other options.
    """
    ALLOWED[kind](connection, request.feature)
    row, new = requests.start(connection, request, NOUN)
    return Training.of_row(row), new


def training_of(connection: Connection[Any], feature: str, id: int) -> Training:
    """How it stands. Raises NotFound."""
    return Training.of_row(requests.operation_of(connection, feature, id, tuple(ALLOWED), NOUN))


def trainings_of(connection: Connection[Any], feature: str) -> list[Training]:
    """A feature's, the newest first. Raises NotFound."""
    current_feature(connection, feature)
    rows = operations.list_operations(connection, feature, tuple(ALLOWED))
    return [Training.of_row(row) for row in rows]


def cancel(connection: Connection[Any], feature: str, id: int) -> Training:
    """Ask for its end: a queued one is cancelled, one in progress ends within seconds, one that has
    ended stays as it is. Raises NotFound.
    """
    return Training.of_row(requests.cancel(connection, feature, id, tuple(ALLOWED), NOUN))
