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
from tierline.routing.fingerprint import task
from tierline.routing.micro import Micro
from tierline.routing.micro_parts import from_parts
from tierline.rules.verdicts import Verdict
from tierline.services.calls.answer import Answered, doubted
from tierline.services.calls.calls import CallBook
from tierline.services.calls.embedding import Embedding
from tierline.services.steering.artefacts import Artefacts

MOST_TASKS = 500


class NotTrained(Exception):
    """No classifier can be asked; the text says why, for people."""


def name_of(id: int) -> str:
    """What a micro model is called where the exact model that answered is told."""
    return f"micro-{id}"


@dataclass
class Micros:
    """What this process knows of micro models. May be shared by threads."""

    pool: ConnectionPool[Any]
    embedding: Embedding
    _kept: Artefacts[Micro] = field(init=False)
    _tasks: Recent[str, str] = field(default_factory=lambda: Recent(MOST_TASKS))

    def __post_init__(self) -> None:
        self._kept = Artefacts(self.pool, "micro_models", from_parts)

    def answer(
        self, book: CallBook, feature: Feature, input: JSON, keep_on: Callable[[], bool]
    ) -> Answered:
        """The label that the classifier in force gives, checked as any answer is. Raises
        NotTrained, GaveUp, and RuleBroken when the feature's rule errors.
        """
        started = time.monotonic()
        labels = closed_set(feature.output_schema)
        assert labels is not None, "refused when a feature is applied"
        found = self._kept.in_force(feature.name, self._task(feature), keep_on)
        if found.id is None:
            raise NotTrained("no micro model is trained for what this feature asks")
        if found.artefact is None:
            raise NotTrained(f"micro model {found.id} cannot be used here: 'make setup' brings it")
        vector = self.embedding.of(input_text(input))
        if vector is None:
            raise NotTrained("this worker makes no embeddings: 'make setup' brings what it needs")
        said = found.artefact.answer(vector)[0]
        model = name_of(found.id)
        book.answered_here(model, time.monotonic() - started)
        text = labels.text(said.label)
        checked = check(feature, input, text)
        if said.novel and checked.verdict is Verdict.PASSED:
            reason = f"its input is unlike those that {model} was trained on"
            checked = doubted(checked, reason)
        return Answered(
            text=text,
            checked=checked,
            model=model,
            confidence=said.score,
            signals=said.signals,
            novel=said.novel,
        )

    def _task(self, feature: Feature) -> str:
        key = feature.fingerprint()
        return self._tasks.get(key) or self._tasks.keep(key, task(feature))
