"""The labelled inputs that a micro model is trained on, and that its promise is tested on."""

import hashlib
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotEnoughData, NotFound
from tierline.base.json_text import JSON, canonical_json
from tierline.checks.labels import LabelSet, closed_set
from tierline.features import Feature, Tier
from tierline.routing.thresholds.fingerprint import task
from tierline.services.evidence.labels.datasets import MOST_ROWS
from tierline.services.evidence.labels.known_labels import known_labels
from tierline.services.features.find_feature import current_feature
from tierline.storage.evidence import datasets
from tierline.views.evidence.datasets import KnownLabel


@dataclass(frozen=True)
class LabelledInput:
    """One input that a micro model is trained on, or that its promise is tested on."""

    input: JSON
    label: str
    said_by: str | None  # the model that gave the label; None: a person, or a file
    held_out: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the input, not of the job. So equal inputs are all trained on or all held
        out.
        """
        return hashlib.sha256(canonical_json(self.input).encode()).hexdigest()


def labels_of(
    connection: Connection[Any],
    name: str,
    account_id: int | None = None,
    *,
    for_micro: bool = False,
) -> list[KnownLabel]:
    """The feature's inputs whose right output is known, each once, from one account's jobs or from
    all. `representative` marks a row that was drawn independently of its answer. `label` is set if
    the outputs are a closed set. Raises NotFound, and with `for_micro` Conflict if the feature has
    no micro tier.
    """
    feature = current_feature(connection, name)
    if for_micro:
        micro_tier(connection, name)
    newest: dict[str, KnownLabel] = {}
    for row in known_labels(connection, feature, account_id):
        newest.setdefault(canonical_json(row.input), row)  # keeps the newest
    return list(newest.values())


def micro_tier(connection: Connection[Any], name: str) -> tuple[Feature, Tier, LabelSet]:
    """The feature, its micro tier and its labels. Raises NotFound, Conflict."""
    feature = current_feature(connection, name)
    tier = feature.allowed_tiers()[0]
    allowed = closed_set(feature.output_schema)
    if not tier.is_micro or allowed is None:
        raise Conflict(
            f"{name} has no micro tier: give it '- {{name: micro, models: "
            "[micro:all-MiniLM-L6-v2]}' as its first tier and apply it"
        )
    return feature, tier, allowed


def rows_of_jobs(
    connection: Connection[Any], feature: Feature, account_id: int | None
) -> list[LabelledInput]:
    """The known labels of the feature's jobs. Half of the representative rows are held out, chosen
    by the input's digest.
    """
    from tierline.routing.learned.micro_training import is_held_out

    rows = []
    for row in labels_of(connection, feature.name, account_id):
        assert row.label is not None, "a feature with a micro tier has a closed set of labels"
        one = LabelledInput(row.input, row.label, row.said_by, held_out=False)
        held_out = is_held_out(one.digest, representative=row.representative)
        rows.append(LabelledInput(one.input, one.label, one.said_by, held_out))
    if not rows:
        raise NotEnoughData(
            f"not enough data: no input of {feature.name} has a label; labels come from "
            "'tierline feedback' and from the answers of the last tier"
        )
    return rows


def rows_of_dataset(
    connection: Connection[Any],
    feature: Feature,
    allowed: LabelSet,
    version: int,
    account_id: int | None,
) -> list[LabelledInput]:
    """The training rows of the dataset, and its representative calibration rows as held out. The
    test rows are not used.
    """
    dataset = datasets.dataset(connection, feature.name, version)
    if dataset is None:
        raise NotFound(f"the feature {feature.name} has no dataset {version}")
    if dataset["task"] != task(feature):
        raise Conflict(
            f"dataset {version} is of another task: {feature.name} was changed after it was "
            f"built; build a new one by 'tierline dataset build {feature.name}'"
        )
    stored = datasets.rows_of(connection, dataset["id"], -1, MOST_ROWS, account_id)
    rows = [
        LabelledInput(
            row.input,
            allowed.unwrap(row.expected),
            row.said_by,
            held_out=row.side == "calibration",
        )
        for row in stored
        if row.input is not None
        and (row.side == "train" or (row.side == "calibration" and row.representative))
    ]
    if not rows:
        raise NotEnoughData(f"dataset {version} of {feature.name} has no row to train on")
    return rows
