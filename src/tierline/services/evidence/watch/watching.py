"""What watches a feature's promise: drift, shadows, feedback, or nothing."""

from typing import Any

from psycopg import Connection

from tierline.base import embeddings
from tierline.drift.daily_check import FEWEST
from tierline.drift.watching import FEWEST_LABELS, Watching
from tierline.features import Feature
from tierline.services.evidence.watch.drift_references import evidence_inputs, evidence_of
from tierline.storage.evidence import drift, labels
from tierline.views.evidence.watching import PromiseWatch


def watch_of(connection: Connection[Any], feature: Feature) -> PromiseWatch | None:
    """What watches the promise that the feature relies on. None if nothing is promised."""
    evidence = evidence_of(connection, feature)
    if evidence is None or evidence["evidence"].startswith("router "):
        return None
    kept = drift.reference(connection, feature.name, evidence["evidence"])
    looked_at = kept is not None and kept["inputs"] > 0
    soon = False
    if not looked_at and embeddings.here():
        versions = drift.version_ids(connection, feature.name)
        sample = evidence_inputs(connection, feature, versions, evidence, FEWEST)
        soon = len(sample.inputs) >= FEWEST
    watching = Watching(
        evidence=evidence["evidence"],
        drift=looked_at,
        drift_soon=soon,
        shadow=feature.shadow is not None,
        labels=labels.labelled_since(connection, feature.name, evidence["made_at"], FEWEST_LABELS),
    )
    command = watching.next(feature.name)
    return PromiseWatch(
        evidence=watching.evidence,
        unwatched=not watching.by,
        by=list(watching.by),
        labels=watching.labels,
        next=None if command is None else command[0],
        why=None if command is None else command[1],
    )
