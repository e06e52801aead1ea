"""References of drift checks: the inputs and answers of the time of a feature's evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS
from tierline.drift.daily_check import (
    FEWEST,
    ObservedInputs,
    Reference,
    reference_of,
)
from tierline.features import Feature
from tierline.routing.learned.novelty import unpacked
from tierline.routing.thresholds.fingerprint import task
from tierline.services.steering.recipes import recipe_of
from tierline.storage.db.clock import now
from tierline.storage.evidence import datasets, drift
from tierline.storage.evidence.drift import DriftCheck, DriftReference, Evidence, SampledJob

MOST_REFERENCE = 1_500  # most inputs of a reference

# the period whose traffic counts as that of the evidence, if the evidence has no outcomes
BEFORE = timedelta(days=90)


def evidence_of(connection: Connection[Any], feature: Feature) -> Evidence | None:
    """The feature's current evidence; see `storage.evidence.drift.evidence`."""
    recipes = early_recipes(connection, feature)
    return drift.evidence(connection, feature.name, recipes) if recipes else None


@dataclass(frozen=True)
class EvidenceInputs:
    """What a reference is made from."""

    inputs: Sequence[JSON]
    outputs: Sequence[JSON]  # that were served, in the same order; null: unknown
    models: set[str]  # the exact models that answered
    dataset: int | None  # the version of the dataset that they are from; None: they are jobs


def evidence_inputs(
    connection: Connection[Any],
    feature: Feature,
    versions: Sequence[int],
    evidence: Evidence,
    most: int,
) -> EvidenceInputs:
    """Inputs from the period of the evidence. If too few jobs ended then, the rows of the dataset
    that it was made from, as for a promise of `distil` on a file. Their labels are not used,
    because what is served may differ from what is right.
    """
    since = evidence["since"] or evidence["made_at"] - BEFORE
    rows = drift.sample(connection, versions, since, evidence["made_at"], most)
    if len(rows) < FEWEST and not evidence["evidence"].startswith("router "):
        kept = datasets.dataset_before(connection, feature.name, task(feature), evidence["made_at"])
        if kept is not None:
            inputs = datasets.representative_inputs(connection, kept["id"], most)
            if len(inputs) >= FEWEST:
                return EvidenceInputs(inputs, [None] * len(inputs), set(), kept["version"])
    return EvidenceInputs(
        [row["input"] for row in rows], [row["output"] for row in rows], _models(rows), None
    )


def early_recipes(connection: Connection[Any], feature: Feature) -> list[str]:
    """The current recipes of all tiers before the last, which may have evidence."""
    allowed = feature.allowed_tiers()
    return [recipe_of(connection, feature, tier) for tier in allowed[:-1]]


def add_reference(
    connection: Connection[Any],
    feature: Feature,
    evidence: Evidence,
    inputs: int,
    vectors: bytes,
    document: JSON,
) -> None:
    drift.add_reference(
        connection,
        {
            "feature": feature.name,
            "evidence": evidence["evidence"],
            "evidence_at": evidence["made_at"],
            "inputs": inputs,
            "vectors": vectors,
            "document": document,
        },
    )


def _models(rows: Sequence[SampledJob]) -> set[str]:
    """The exact models that answered."""
    return {row["model"] for row in rows if row["model"] is not None}


def same_models(kept: DriftReference, rows: Sequence[SampledJob]) -> bool:
    """Whether only models from the time of the reference answered. If another model answered, its
    labels may differ although the traffic is the same. True if the reference is from an earlier
    release that did not store the models.
    """
    models = kept["document"].get("models")
    return models is None or _models(rows) <= set(models)


def read_reference(kept: DriftReference) -> Reference | None:
    document = kept["document"]
    seen = ObservedInputs(
        unpacked(kept["vectors"], DIMENSIONS), document["lengths"], document["labels"]
    )
    errors = document["errors"]
    return reference_of(seen, None if errors is None else (errors[0], errors[1]))


@dataclass(frozen=True)
class Standing:
    """A feature's stored state before a check."""

    evidence: Evidence
    reference: DriftReference | None  # None: there is none yet, or it is empty
    newest: DriftCheck | None  # the newest check
    refresh_announced: bool
    versions: list[int]
    now: datetime

    def due(self, every: timedelta) -> bool:
        """Whether a check is due, if there is one per `every`."""
        if self.reference is None:
            return True
        last = self.reference["created_at"] if self.newest is None else self.newest["looked_at"]
        return bool(self.now - last >= every)


def read_standing(connection: Connection[Any], feature: Feature) -> Standing | None:
    """None: the feature has no evidence."""
    evidence = evidence_of(connection, feature)
    if evidence is None:
        return None
    kept = drift.reference(connection, feature.name, evidence["evidence"])
    refresh_announced = kept is not None and kept["refresh_announced_at"] is not None
    if kept is not None and not kept["inputs"]:
        kept = None
    newest = None if kept is None else next(iter(drift.looks(connection, kept["id"], 1)), None)
    versions = drift.version_ids(connection, feature.name)
    return Standing(evidence, kept, newest, refresh_announced, versions, now(connection))
