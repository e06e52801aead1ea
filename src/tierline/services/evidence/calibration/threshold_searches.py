"""Threshold searches: operations that calibrate a tier on its outcomes, each in its own process.

The search reads the outcomes from the database; callers cannot pass in scores. Its result is in
force as soon as it completes. A search that is cancelled or fails does not use up outcomes.
"""

from dataclasses import asdict
from typing import Any

from psycopg import Connection

from tierline.services.evidence.calibration.calibrate import (
    CalibrationRequest,
    Watch,
    calibrate,
    refuse_too_few,
)
from tierline.services.features.find_feature import current_feature
from tierline.services.operations import requests
from tierline.services.operations.requests import Request
from tierline.services.operations.work import Work
from tierline.storage.operations import operations
from tierline.views.evidence.calibrations import Calibration
from tierline.views.evidence.threshold_searches import ThresholdSearch

KIND = "calibration"
NOUN = "threshold search"


def start(
    connection: Connection[Any], name: str, options: CalibrationRequest, account_id: int
) -> ThresholdSearch:
    """Queue a search, or return the open one with the same options. Raises NotFound, InvalidInput,
    NotEnoughData, and Conflict if the feature has no calibrated tier or an open search with other
    options.
    """
    refuse_too_few(connection, name, options)
    request = Request(name, KIND, asdict(options), account_id, None)
    row, _ = requests.start(connection, request, NOUN)
    return ThresholdSearch.of_row(row)


def search_of(connection: Connection[Any], name: str, id: int) -> ThresholdSearch:
    """The search's current state. Raises NotFound."""
    return ThresholdSearch.of_row(requests.operation_of(connection, name, id, (KIND,), NOUN))


def searches_of(connection: Connection[Any], name: str) -> list[ThresholdSearch]:
    """The feature's searches, newest first, at most 100. Raises NotFound."""
    current_feature(connection, name)
    rows = operations.list_operations(connection, name, (KIND,))
    return [ThresholdSearch.of_row(row) for row in rows]


def cancel(connection: Connection[Any], name: str, id: int) -> ThresholdSearch:
    """Ask to cancel it. It ends within seconds and uses up no outcomes. An ended search does not
    change. Raises NotFound.
    """
    return ThresholdSearch.of_row(requests.cancel(connection, name, id, (KIND,), NOUN))


def run(work: Work) -> None:
    """Search, and put the result in force. Raises what `calibrate` raises, and Superseded."""

    def keep(connection: Connection[Any], made: Calibration) -> None:
        work.complete(connection, made.model_dump(mode="json", exclude_unset=True))

    options = CalibrationRequest(**work.options)
    with work.pool.connection() as connection:
        calibrate(connection, work.feature, options, Watch(work.progress, keep))
