"""Daily checks whether a feature's inputs and answers still match the traffic of its evidence.

If they no longer match, its calibrations are withdrawn, because their promises do not cover such
traffic, and the feature's users are notified once. They are also notified when evidence becomes
old.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.embeddings import EmbeddingMissing
from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS, Vectors
from tierline.checks.labels import closed_set
from tierline.drift.daily_check import (
    FEWEST,
    MOST_LIVE,
    DayCheck,
    DriftState,
    ObservedInputs,
    check_day,
)
from tierline.features import Feature
from tierline.features.prompts import input_text
from tierline.routing.learned.novelty import packed, unpacked
from tierline.services.evidence.watch.drift_announcements import (
    announce_change,
    announce_refresh,
    moved_figures,
)
from tierline.services.evidence.watch.drift_references import (
    MOST_REFERENCE,
    Standing,
    add_reference,
    evidence_inputs,
    read_reference,
    read_standing,
    same_models,
)
from tierline.storage.evidence import drift
from tierline.storage.evidence.drift import DriftCheck, SampledJob
from tierline.storage.features.features import current_versions, readable

log = structlog.get_logger(__name__)

CHECK_S = 600.0  # how often a process tests whether a check of a feature is due
MOST_A_LOOK = 200  # most inputs of a check
FEWEST_A_LOOK = 20  # a check with fewer inputs is postponed
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
                state = read_standing(connection, feature)
                if state is None:
                    continue
                announce_refresh(connection, feature, state)
            if texts.missing or not state.due(self.every):
                continue
            try:
                count += self._look(feature, state, texts)
            except EmbeddingMissing as error:
                texts.missing = True
                log.warning("drift_not_looked_at", reason=error.message)
        return count

    def _look(self, feature: Feature, state: Standing, texts: "_Texts") -> bool:
        """Check the feature, or store its reference if there is none. Returns whether it ran a
        check.
        """
        if state.reference is None:
            self._begin(feature, state, texts)
            return False  # checks cover the inputs from now on
        rows, wrong = self._new_ones(state)
        reference = read_reference(state.reference)
        if len(rows) < FEWEST_A_LOOK or reference is None:
            return False
        before, number, earlier = _carried(state.newest)
        seen = _seen(feature, rows, texts, wrong)
        if not same_models(state.reference, rows):
            seen = replace(seen, labels=[None] * len(rows))
        result = check_day(reference, before, earlier, seen)
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
                announce_change(connection, feature, state.reference, result, rows)
        return kept

    def _begin(self, feature: Feature, state: Standing, texts: "_Texts") -> None:
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
            add_reference(connection, feature, evidence, len(inputs), vectors, document)

    def _new_ones(self, state: Standing) -> tuple[Sequence[SampledJob], Sequence[bool]]:
        """The inputs since the last check, and whether the audited answers since then differ."""
        assert state.reference is not None, "there is no reference to compare with"
        after = state.reference["created_at"] if state.newest is None else state.newest["up_to"]
        calibration = state.evidence["calibration_id"]
        with self.pool.connection() as connection:
            rows = drift.sample(connection, state.versions, after, state.now, MOST_A_LOOK)
            if calibration is None:
                return rows, ()
            return rows, drift.audited(connection, calibration, after, state.now)


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
) -> ObservedInputs:
    inputs = [input_text(row["input"]) for row in rows]
    lengths = [len(text) for text in inputs]
    labels = list(_labels(feature, [row["output"] for row in rows]))
    return ObservedInputs(texts.embed(inputs), lengths, labels, wrong)


def _labels(feature: Feature, outputs: Sequence[JSON]) -> Iterator[str | None]:
    labels = closed_set(feature.output_schema)
    for output in outputs:
        try:
            yield None if labels is None else labels.unwrap(output)
        except (KeyError, TypeError):
            yield None  # the job has no output


def _document(check: DayCheck, rows: Sequence[SampledJob]) -> dict[str, JSON]:
    return {
        "state": check.state.to_dict(),
        "by": dict(check.by),
        "means": {key: list(mean) for key, mean in check.means.items()},
        "moved": moved_figures(check),
        "novel_jobs": [str(rows[place]["id"]) for place in check.novel[:MOST_NOVEL]],
    }
