"""`tierline distil`: trains a micro model on a dataset, in seconds, on the CPU."""

from typing import Annotated

import typer

from tierline.cli.improve.training.micro import (
    MICRO_MODEL,
    STRANGERS,
    ConfidenceOf,
    MaxError,
    Strangers,
    options_of,
)
from tierline.cli.improve.training.training import DryRun, Feature, train
from tierline.cli.shared.options import Home, Json


def distil(
    feature: Feature,
    version: Annotated[
        int | None,
        typer.Option("--dataset", min=1, help="The dataset's version; by default the newest."),
    ] = None,
    max_error: MaxError = None,
    confidence: ConfidenceOf = 0.95,
    strangers: Strangers = STRANGERS,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train the feature's micro tier on a dataset, and promise a largest share of errors.

    It learns from the train rows. The promise is tested on the calibration rows that represent all
    traffic. Test rows are not used. The server trains; Ctrl-C ends only the waiting.
    """
    from tierline.cli.improve.training.stored_datasets import find
    from tierline.cli.shared.client import connect

    options = options_of(max_error, confidence, strangers, dry_run=dry_run)
    with connect(home) as api:
        options["dataset"] = find(api, feature, version)["version"]
        train(MICRO_MODEL, api, feature, options, as_json=as_json)
