"""Threshold searches: operations that calibrate a tier on its outcomes, each in its own process.

The search reads the outcomes from the database; callers cannot pass in scores. Its result is in
force as soon as it completes. A search that is cancelled or fails does not use up outcomes.
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
    """Queue a search, or return the open one with the same options. Raises NotFound, InvalidInput,
    NotEnoughData, and Conflict if the feature has no calibrated tier or an open search with other
    options.
    """
    calibrate(connection, name, wanted, dry_run=True, enough=True)
    request = Request(name, KIND, asdict(wanted), account_id, None)
    return requests.start(connection, request, NOUN)[0]


def search_of(connection: Connection[Any], name: str, id: int) -> Row:
    """The search's current row. Raises NotFound."""
    return requests.operation_of(connection, name, id, (KIND,), NOUN)


def searches_of(connection: Connection[Any], name: str) -> list[Row]:
    """The feature's searches, newest first, at most 100. Raises NotFound."""
    current_feature(connection, name)
    return operations.list_operations(connection, name, (KIND,))


def cancel(connection: Connection[Any], name: str, id: int) -> Row:
    """Ask to cancel it. It ends within seconds and uses up no outcomes. An ended search does not
    change. Raises NotFound.
    """
    return requests.cancel(connection, name, id, (KIND,), NOUN)


def run(work: Work) -> None:
    """Search, and put the result in force. Raises what `calibrate` raises, and Superseded."""

    def keep(connection: Connection[Any], made: Mapping[str, JSON]) -> None:
        work.complete(connection, dict(made))

    wanted = CalibrationRequest(**work.options)
    with work.pool.connection() as connection:
        calibrate(connection, work.feature, wanted, watch=Watch(work.progress, keep))
