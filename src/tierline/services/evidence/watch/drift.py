"""Daily checks whether a feature's inputs and answers still match the traffic of its evidence.

If they no longer match, its calibrations are withdrawn, because their promises do not cover such
traffic, and the feature's users are notified once. They are also notified when evidence becomes
old.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.base.embeddings import EmbeddingMissing
from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS, Vectors
from tierline.checks.labels import closed_set
from tierline.drift.looks import (
    FEWEST,
    MOST_LIVE,
    DriftState,
    Look,
    Reference,
    Seen,
    look,
    reference_of,
)
from tierline.features import Feature
from tierline.features.prompts import input_text
from tierline.routing.learned.novelty import packed, unpacked
from tierline.routing.thresholds.fingerprint import task
from tierline.services.evidence.watch.promotions import demote_promoted
from tierline.services.steering.recipes import recipe_of
from tierline.services.webhooks.announce import announce_feature
from tierline.storage.db.clock import now
from tierline.storage.evidence import datasets, drift
from tierline.storage.evidence.drift import DriftCheck, DriftReference, Evidence, SampledJob
from tierline.storage.features.features import current_versions, readable
from tierline.webhooks.events import DRIFT, REFRESH_DUE, drift_body, refresh_body

log = structlog.get_logger(__name__)

CHECK_S = 600.0  # how often a process tests whether a check of a feature is due
MOST_REFERENCE = 1_500  # most inputs of a reference
MOST_A_LOOK = 200  # most inputs of a check
FEWEST_A_LOOK = 20  # a check with fewer inputs is postponed
# the period whose traffic counts as that of the evidence, if the evidence has no outcomes
BEFORE = timedelta(days=90)
MOST_NOVEL = 20  # how many novel inputs are listed


@dataclass
class Drift:
    """Runs the checks, in a sweeping process."""

    pool: ConnectionPool[Any]
    every: timedelta = timedelta(days=1)  # between two checks of a feature
    _checked_s: float | None = field(default=None)

    def look_due(self, until_s: float) -> int:
        """Run the due checks, until the monotonic time `until_s`. Returns how many it ran. Safe in
        several processes at once: of two checks for one day, only one is stored. Runs none if no
        embeddings can be computed.
        """
        now_s = time.monotonic()
        if self._checked_s is not None and now_s - self._checked_s < min(
            CHECK_S, self.every.total_seconds()
        ):
            return 0
        self._checked_s = now_s
        texts = _Texts()
        count = 0
        with self.pool.connection() as connection:
            features = list(readable(current_versions(connection)))
        for feature in features:
            if time.monotonic() > until_s:
                self._checked_s = None  # the next round continues
                break
            with self.pool.connection() as connection:
                state = _standing(connection, feature)
                if state is None:
                    continue
                _remind(connection, feature, state)
            if texts.missing or not state.due(self.every):
                continue
            try:
                count += self._look(feature, state, texts)
            except EmbeddingMissing as error:
                texts.missing = True
                log.warning("drift_not_looked_at", reason=error.message)
        return count

    def _look(self, feature: Feature, state: "_Standing", texts: "_Texts") -> bool:
        """Check the feature, or store its reference if there is none. Returns whether it ran a
        check.
        """
        if state.reference is None:
            self._begin(feature, state, texts)
            return False  # checks cover the inputs from now on
        rows, wrong = self._new_ones(state)
        reference = _reference(state.reference)
        if len(rows) < FEWEST_A_LOOK or reference is None:
            return False
        before, number, earlier = _carried(state.newest)
        seen = _seen(feature, rows, texts, wrong)
        if not same_models(state.reference, rows):
            seen = replace(seen, labels=[None] * len(rows))
        result = look(reference, before, earlier, seen)
        with self.pool.connection() as connection, connection.transaction():
            kept = drift.add_look(
                connection,
                {
                    "reference_id": state.reference["id"],
                    "number": number,
                    "inputs": len(rows),
                    "money": result.money,
                    "alarm": result.alarm,
                    "document": _document(result, rows),
                    "up_to": state.now.isoformat(),
                },
                packed(_latest(earlier, seen.vectors)),
            )
            if kept and result.alarm:
                _alarm(connection, feature, state.reference, result, rows)
        return kept

    def _begin(self, feature: Feature, state: "_Standing", texts: "_Texts") -> None:
        evidence = state.evidence
        with self.pool.connection() as connection:
            sample = evidence_inputs(connection, feature, state.versions, evidence, MOST_REFERENCE)
        if len(sample.inputs) < FEWEST:
            return  # too many inputs were removed
        inputs = [input_text(one) for one in sample.inputs]
        served = evidence["served"]
        document = {
            "lengths": [len(text) for text in inputs],
            "labels": list(_labels(feature, sample.outputs)),
            "errors": [evidence["errors"], served] if served else None,
            "models": sorted(sample.models),
            "dataset": sample.dataset,
        }
        vectors = packed(texts.embed(inputs))
        with self.pool.connection() as connection:
            _add_reference(connection, feature, evidence, len(inputs), vectors, document)

    def _new_ones(self, state: "_Standing") -> tuple[Sequence[SampledJob], Sequence[bool]]:
        """The inputs since the last check, and whether the audited answers since then differ."""
        assert state.reference is not None, "there is no reference to compare with"
        after = state.reference["created_at"] if state.newest is None else state.newest["up_to"]
        calibration = state.evidence["calibration_id"]
        with self.pool.connection() as connection:
            rows = drift.sample(connection, state.versions, after, state.now, MOST_A_LOOK)
            if calibration is None:
                return rows, ()
            return rows, drift.audited(connection, calibration, after, state.now)


def evidence_of(connection: Connection[Any], feature: Feature) -> Evidence | None:
    """The feature's current evidence; see `storage.evidence.drift.evidence`."""
    recipes = _recipes(connection, feature)
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


@dataclass(frozen=True)
class _Standing:
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


class _Texts:
    """Embeds texts. Its model is loaded for the first text and released after the round."""

    def __init__(self) -> None:
        self.missing = False  # the embedding model or its libraries are not installed
        self._embedder: Any = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises EmbeddingMissing."""
        if self._embedder is None:
            from tierline.base.embeddings import Embedder

            self._embedder = Embedder()
        vectors: Vectors = self._embedder.embed(texts)
        return vectors


def _standing(connection: Connection[Any], feature: Feature) -> _Standing | None:
    evidence = evidence_of(connection, feature)
    if evidence is None:
        return None
    kept = drift.reference(connection, feature.name, evidence["evidence"])
    refresh_announced = kept is not None and kept["refresh_announced_at"] is not None
    if kept is not None and not kept["inputs"]:
        kept = None
    newest = None if kept is None else next(iter(drift.looks(connection, kept["id"], 1)), None)
    versions = drift.version_ids(connection, feature.name)
    return _Standing(evidence, kept, newest, refresh_announced, versions, now(connection))


def _recipes(connection: Connection[Any], feature: Feature) -> list[str]:
    """The current recipes of all tiers before the last, which may have evidence."""
    allowed = feature.allowed_tiers()
    return [recipe_of(connection, feature, tier) for tier in allowed[:-1]]


def _add_reference(
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


def _reference(kept: DriftReference) -> Reference | None:
    document = kept["document"]
    seen = Seen(unpacked(kept["vectors"], DIMENSIONS), document["lengths"], document["labels"])
    errors = document["errors"]
    return reference_of(seen, None if errors is None else (errors[0], errors[1]))


def _carried(newest: DriftCheck | None) -> tuple[DriftState, int, Vectors]:
    """The state, the next check's number and the latest inputs' embeddings."""
    import numpy as np

    nothing: Vectors = np.zeros((0, DIMENSIONS), dtype=np.float32)
    if newest is None:
        return DriftState(), 1, nothing
    earlier = nothing if newest["vectors"] is None else unpacked(newest["vectors"], DIMENSIONS)
    return DriftState.from_dict(newest["document"]["state"]), newest["number"] + 1, earlier


def _latest(earlier: Vectors, new: Vectors) -> Vectors:
    import numpy as np

    latest: Vectors = np.concatenate([earlier, new])[-MOST_LIVE:]
    return latest


def _seen(
    feature: Feature, rows: Sequence[SampledJob], texts: _Texts, wrong: Sequence[bool]
) -> Seen:
    inputs = [input_text(row["input"]) for row in rows]
    lengths = [len(text) for text in inputs]
    labels = list(_labels(feature, [row["output"] for row in rows]))
    return Seen(texts.embed(inputs), lengths, labels, wrong)


def _labels(feature: Feature, outputs: Sequence[JSON]) -> Iterator[str | None]:
    labels = closed_set(feature.output_schema)
    for output in outputs:
        try:
            yield None if labels is None else labels.unwrap(output)
        except (KeyError, TypeError):
            yield None  # the job has no output


def _document(check: Look, rows: Sequence[SampledJob]) -> dict[str, JSON]:
    return {
        "state": check.state.to_dict(),
        "by": dict(check.by),
        "means": {key: list(mean) for key, mean in check.means.items()},
        "moved": moved_figures(check),
        "novel_jobs": [str(rows[place]["id"]) for place in check.novel[:MOST_NOVEL]],
    }


def moved_figures(check: Look) -> list[str]:
    """The figures with evidence of change, strongest first, if there is an alarm. Empty without an
    alarm.
    """
    if not check.alarm:
        return []
    return sorted((name for name in check.by if check.by[name] > 1.0), key=lambda n: -check.by[n])


def _alarm(
    connection: Connection[Any],
    feature: Feature,
    kept: DriftReference,
    check: Look,
    rows: Sequence[SampledJob],
) -> None:
    at = drift.announce_once(connection, kept["id"], "alarm_announced_at")
    if at is None:
        return
    moved = moved_figures(check)
    reason = f"the traffic has changed: {', '.join(moved)}"
    ended = drift.withdraw_all(connection, feature.name, _recipes(connection, feature), reason)
    try:
        demote_promoted(connection, feature.name, reason)
    except TierlineError as error:  # its file cannot be applied now; the alarm is still announced
        log.warning("feature_not_demoted", feature=feature.name, reason=error.message)
    body = drift_body(at, feature.name, kept["evidence"], moved)
    announce_feature(connection, DRIFT, _to_notify(connection, rows), body)
    log.warning("feature_drift", feature=feature.name, moved=moved, calibrations_ended=ended)


def _remind(connection: Connection[Any], feature: Feature, state: _Standing) -> None:
    """Announce once that the evidence is old. If there is no reference yet, an empty one records
    the announcement.
    """
    evidence = state.evidence
    if state.refresh_announced or not feature.needs_refresh(evidence["made_at"], state.now):
        return
    with connection.transaction():
        _add_reference(connection, feature, evidence, 0, b"", {})
        kept = drift.reference(connection, feature.name, evidence["evidence"])
        assert kept is not None, "it was just added"
        at = drift.announce_once(connection, kept["id"], "refresh_announced_at")
        if at is None:
            return
        since = state.now - timedelta(days=feature.refresh_days)
        users = drift.sample(connection, state.versions, since, state.now, MOST_A_LOOK)
        body = refresh_body(at, feature.name, evidence["evidence"], evidence["made_at"])
        announce_feature(connection, REFRESH_DUE, _to_notify(connection, users), body)
    log.info("feature_refresh_due", feature=feature.name, evidence=evidence["evidence"])


def _to_notify(connection: Connection[Any], rows: Sequence[SampledJob]) -> list[int]:
    """The accounts to notify: those of the checked jobs, and the operators'."""
    return sorted({row["account_id"] for row in rows} | drift.operators(connection))
