"""Threshold searches: operations that calibrate a tier on its outcomes, in a process of their own.

The search reads the outcomes' rows itself; nobody tells it a score. What it finds holds from the
moment that it is completed. One that is cancelled or fails uses no outcome up.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.services.evidence.calibrations import CalibrationRequest, Watch, calibrate
from tierline.services.features.find_feature import current_feature
from tierline.services.operations import requests
from tierline.services.operations.requests import Request
from tierline.services.operations.work import Work
from tierline.storage.operations import operations
from tierline.storage.operations.operations import Row

KIND = "calibration"
NOUN = "threshold search"


def start(
    connection: Connection[Any], name: str, wanted: CalibrationRequest, account_id: int
) -> Row:
    """The search that is queued now, or the one with the same options that is under way. Raises
    NotFound, InvalidInput, NotEnoughData, and Conflict for a feature that is not calibrated or
    whose search has other options.
    """
    calibrate(connection, name, wanted, dry_run=True, enough=True)
    request = Request(name, KIND, asdict(wanted), account_id, None)
    return requests.start(connection, request, NOUN)[0]


def search_of(connection: Connection[Any], name: str, id: int) -> Row:
    """How it stands. Raises NotFound."""
    return requests.operation_of(connection, name, id, (KIND,), NOUN)


def searches_of(connection: Connection[Any], name: str) -> list[Row]:
    """A feature's, the newest first, at most 100. Raises NotFound."""
    current_feature(connection, name)
    return operations.list_operations(connection, name, (KIND,))


def cancel(connection: Connection[Any], name: str, id: int) -> Row:
    """Ask for its end: within seconds, and nothing is used up. One that has ended stays as it is.
    Raises NotFound.
    """
    return requests.cancel(connection, name, id, (KIND,), NOUN)


def run(work: Work) -> None:
    """Search, and let what is found hold. Raises what `calibrate` raises, and Superseded."""

    def keep(connection: Connection[Any], made: Mapping[str, JSON]) -> None:
        work.complete(connection, dict(made))

    wanted = CalibrationRequest(**work.options)
    with work.pool.connection() as connection:
        calibrate(connection, work.feature, wanted, watch=Watch(work.progress, keep))
