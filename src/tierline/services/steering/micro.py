"""The micro tier in a worker: the feature's own classifier answers, and no model is called."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg_pool import ConnectionPool

from tierline.base.json_text import JSON
from tierline.base.recent import Recent
from tierline.checks import check
from tierline.checks.labels import closed_set
from tierline.features import Feature
from tierline.features.prompts import input_text
from tierline.routing.learned.micro import Answer, Micro
from tierline.routing.learned.micro_parts import from_parts
from tierline.routing.thresholds.fingerprint import task
from tierline.services.calls.answer import Answered
from tierline.services.calls.calls import CallBook
from tierline.services.calls.embedding import Embedding
from tierline.services.steering.artefacts import Artefacts

MOST_TASKS = 500


class NotTrained(Exception):
    """No classifier can be used; the text says why, for people."""


def name_of(id: int) -> str:
    """The name under which a micro model is recorded as the exact model that answered."""
    return f"micro-{id}"


@dataclass(frozen=True)
class ReadyMicro:
    """A classifier and one embedded input."""

    id: int
    model: Micro
    vector: Any  # the input's embedding, as one row
    prepared_s: float  # the time that loading and embedding took

    def answer(self) -> Answer:
        return self.model.answer(self.vector)[0]


@dataclass
class Micros:
    """The micro models in this process. Thread-safe."""

    pool: ConnectionPool[Any]
    embedding: Embedding
    _kept: Artefacts[Micro] = field(init=False)
    _tasks: Recent[str, str] = field(default_factory=lambda: Recent(MOST_TASKS))

    def __post_init__(self) -> None:
        self._kept = Artefacts(self.pool, "micro_models", from_parts)

    def ready(self, feature: Feature, input: JSON, keep_on: Callable[[], bool]) -> ReadyMicro:
        """The classifier in force, with the input's embedding. Raises NotTrained, GaveUp."""
        started = time.monotonic()
        kept = self._kept.in_force(feature.name, self._task(feature), keep_on)
        if kept.id is None:
            raise NotTrained("no micro model is trained for the feature's current task")
        if kept.artefact is None:
            raise NotTrained(f"micro model {kept.id} cannot be used here: run 'make setup'")
        vector = self.embedding.of(input_text(input))
        if vector is None:
            raise NotTrained("this worker cannot make embeddings: run 'make setup'")
        return ReadyMicro(kept.id, kept.artefact, vector, time.monotonic() - started)

    def _task(self, feature: Feature) -> str:
        key = feature.fingerprint()
        return self._tasks.get(key) or self._tasks.keep(key, task(feature))


def answer(ready: ReadyMicro, book: CallBook, feature: Feature, input: JSON) -> Answered:
    """The label that the classifier gives, checked like any other answer.

    Raises RuleBroken if the feature's rule raises an error.
    """
    started = time.monotonic()
    labels = closed_set(feature.output_schema)
    assert labels is not None, "applying a feature refuses a micro tier without labels"
    answer = ready.answer()
    model = name_of(ready.id)
    book.answered_here(model, ready.prepared_s + time.monotonic() - started)
    text = labels.text(answer.label)
    return Answered(
        text=text,
        checked=check(feature, input, text, book.check_context),
        model=model,
        confidence=answer.score,
        signals=answer.signals,
        novel=answer.novel,
    )
