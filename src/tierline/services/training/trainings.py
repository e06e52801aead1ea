"""Starting, reading and cancelling trainings: operations that make a micro model or a router."""

from collections.abc import Callable, Mapping
from typing import Any

from psycopg import Connection

from tierline.services.features.find_feature import current_feature
from tierline.services.operations import requests
from tierline.services.operations.requests import Request
from tierline.services.training.micro_rows import micro_tier
from tierline.services.training.routers import routed_tier
from tierline.storage.operations import operations
from tierline.views.training.trainings import Training

NOUN = "training"
ALLOWED: Mapping[str, Callable[[Connection[Any], str], object]] = {
    "micro_model": micro_tier,
    "router": routed_tier,
}
"""Kind → function that raises NotFound or Conflict if the feature cannot use such an artefact."""


def start(connection: Connection[Any], request: Request, kind: str) -> tuple[Training, bool]:
    """Returns the training and whether it is new. If a training with the same options is queued or
    in progress, that one is returned. Raises NotFound, and Conflict if the feature cannot use such
    an artefact or has an open training with other options.
    """
    ALLOWED[kind](connection, request.feature)
    row, new = requests.start(connection, request, NOUN)
    return Training.of_row(row), new


def training_of(connection: Connection[Any], feature: str, id: int) -> Training:
    """The training's current state. Raises NotFound."""
    return Training.of_row(requests.operation_of(connection, feature, id, tuple(ALLOWED), NOUN))


def trainings_of(connection: Connection[Any], feature: str) -> list[Training]:
    """The feature's trainings, newest first. Raises NotFound."""
    current_feature(connection, feature)
    rows = operations.list_operations(connection, feature, tuple(ALLOWED))
    return [Training.of_row(row) for row in rows]


def cancel(connection: Connection[Any], feature: str, id: int) -> Training:
    """Ask to cancel it. A queued training is cancelled at once, and one in progress ends within
    seconds. An ended training does not change. Raises NotFound.
    """
    return Training.of_row(requests.cancel(connection, feature, id, tuple(ALLOWED), NOUN))
