"""`tierline distil`: a dataset becomes a micro model, in seconds, on the CPU."""

from typing import Annotated

import typer

from tierline.cli.improve.micro import STRANGERS, ConfidenceOf, DryRun, MaxError, Strangers
from tierline.cli.shared.options import Home, Json


def distil(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    version: Annotated[
        int | None, typer.Option("--dataset", min=1, help="Its version; the newest unless said.")
    ] = None,
    max_error: MaxError = None,
    confidence: ConfidenceOf = 0.95,
    strangers: Strangers = STRANGERS,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train the feature's micro tier on a dataset, and promise how seldom it errs.

    It learns from the rows that train; the promise is tested on those that calibrate and stand for
    all traffic. Rows that test stay unseen.
    """
    from tierline.base.errors import TierlineError
    from tierline.cli.improve.dataset import label_of
    from tierline.cli.improve.micro import TrainingOptions, teach
    from tierline.cli.improve.stored_datasets import find, rows_of
    from tierline.cli.shared.client import connect

    wanted = TrainingOptions(max_error, confidence, strangers, dry_run=dry_run)
    wanted.refuse_bad()
    with connect(home) as api:
        found = find(api, feature, version)
        if not found["of_this_task"]:
            raise TierlineError(
                f"dataset {found['version']} is of another task: {feature} was changed since it "
                f"was built; build a new one by 'tierline dataset build {feature}'"
            )
        rows = [
            {**row, "label": label_of(row["expected"])}
            for row in rows_of(api, feature, found["version"])
            if row["input"] is not None and row["side"] != "test"
        ]
        rows = [row for row in rows if row["side"] == "train" or row["representative"]]
        if not rows:
            raise TierlineError(f"dataset {found['version']} of {feature} has no row to learn from")
        held = [row["side"] == "calibration" for row in rows]
        teach(api, feature, rows, held, wanted, as_json=as_json)
