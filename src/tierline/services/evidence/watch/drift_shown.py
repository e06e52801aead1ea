"""The results of a feature's daily drift checks, as the API shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base import embeddings
from tierline.base.formats import when
from tierline.drift.daily_check import FEWEST
from tierline.features import Feature
from tierline.services.evidence.watch.drift import FEWEST_A_LOOK
from tierline.services.evidence.watch.drift_references import evidence_inputs, evidence_of
from tierline.services.features.find_feature import current_feature
from tierline.storage.evidence import drift
from tierline.storage.evidence.drift import DriftCheck, DriftReference, Evidence
from tierline.views.evidence.calibrations import OutcomeToLabel
from tierline.views.evidence.drift import Drift, DriftFigure, DriftLook


def drift_of(connection: Connection[Any], name: str, account_id: int | None = None) -> Drift:
    """How a feature's inputs and answers compare with its evidence, with examples of novel inputs.
    The examples are from the account's own jobs, or from all if no account is given. Raises
    NotFound.
    """
    feature = current_feature(connection, name)
    evidence = evidence_of(connection, feature)
    if evidence is None:  # an alarm ended the evidence, or there never was any
        kept = drift.newest_reference(connection, name)
    else:
        kept = drift.reference(connection, name, evidence["evidence"])
    if kept is not None and not kept["inputs"]:
        kept = None
    rows = [] if kept is None else drift.looks(connection, kept["id"])
    drifted = kept is not None and kept["alarm_announced_at"] is not None
    telling = _telling(rows, drifted=drifted)
    document = {} if telling is None else telling["document"]
    made_at = None if evidence is None else evidence["made_at"]
    refresh_due = made_at is not None and feature.needs_refresh(made_at, datetime.now(UTC))
    examples = drift.inputs_of(connection, document.get("novel_jobs", ()), account_id)
    return Drift(
        feature=name,
        evidence=None if evidence is None else evidence["evidence"],
        evidence_at=made_at,
        refresh_days=feature.refresh_days,
        refresh_due=refresh_due,
        reference=None
        if kept is None
        else {
            "evidence": kept["evidence"],
            "inputs": kept["inputs"],
            "dataset": kept["document"].get("dataset"),
            "created_at": when(kept["created_at"]),
        },
        waits_for=_waits_for(connection, feature, evidence, kept, rows),
        drifted=drifted,
        moved=list(document.get("moved", ())),
        figures=[
            DriftFigure(name=key, mean=mean, least=low, most=high)
            for key, (mean, low, high) in document.get("means", {}).items()
        ],
        looks=[DriftLook.model_validate(row) for row in rows],
        examples=[OutcomeToLabel(job_id=UUID(id), input=input) for id, input in examples],
    )


def _telling(rows: Sequence[DriftCheck], *, drifted: bool) -> DriftCheck | None:
    """The check to show, from `rows` with the newest first: after drift, the last one with an
    alarm.
    """
    if drifted:
        return next((row for row in rows if row["alarm"]), rows[0] if rows else None)
    return rows[0] if rows else None


def _waits_for(
    connection: Connection[Any],
    feature: Feature,
    evidence: Evidence | None,
    kept: DriftReference | None,
    rows: Sequence[DriftCheck],
) -> str | None:
    """What the first check waits for. None if there is a check already."""
    if rows:
        return None
    if evidence is None:
        return "a calibration or a router in force: traffic is compared with that of its time"
    if kept is not None:
        return f"{FEWEST_A_LOOK} new inputs, and a day since the reference was stored"
    versions = drift.version_ids(connection, feature.name)
    count = len(evidence_inputs(connection, feature, versions, evidence, FEWEST).inputs)
    if count < FEWEST:
        return (
            f"newer evidence: {count} inputs are stored from the time of {evidence['evidence']}, "
            f"and {FEWEST} are needed"
        )
    if not embeddings.here():
        return "the extra `routing` where the worker of the queue maintenance runs: 'make setup'"
    return "the workers: they store the reference within minutes and check once a day"
