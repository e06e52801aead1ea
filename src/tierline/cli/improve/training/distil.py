"""`tierline distil`, which is `tierline micro train --dataset` now. It is removed in 0.4."""

from typing import Annotated

import typer

from tierline.cli.improve.training.micro import (
    NEAR_DUPLICATES,
    STRANGERS,
    ConfidenceOf,
    MaxError,
    Strangers,
    train_,
)
from tierline.cli.improve.training.training import DryRun, Feature
from tierline.cli.shared.options import Home, Json, replaced


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
    """The same as 'tierline micro train --dataset', which is its name now."""
    dataset = "newest" if version is None else str(version)
    replaced("tierline distil", f"tierline micro train {feature} --dataset {dataset}")
    train_(
        *(feature, dataset, max_error, confidence, strangers, NEAR_DUPLICATES),
        dry_run=dry_run,
        home=home,
        as_json=as_json,
    )
