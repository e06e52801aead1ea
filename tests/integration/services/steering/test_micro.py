"""The micro tier in a worker: the feature's own classifier answers, and is held to a promise."""

import json
import time
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from tests.support.database.rows import add_account, add_feature
from tests.support.scenes.bench import Bench, NoEmbedding
from tierline.base.embeddings import Embedder
from tierline.base.errors import Conflict, InvalidInput, NotEnoughData
from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.features.prompts import input_text
from tierline.routing.learned.micro_parts import to_parts
from tierline.routing.learned.micro_training import Lesson, learn
from tierline.routing.thresholds.sampling import drawn_at
from tierline.services.calls.embedding import Embedding
from tierline.services.evidence.calibration.calibrations import calibrations_of
from tierline.services.evidence.watch.shadows import keep_references
from tierline.services.jobs.running.decision_log import decisions_of
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.services.steering.micro import Micros
from tierline.services.training.artefacts import Trained, micro_models_of, withdraw_micro_model
from tierline.services.training.micro_models import add_uploaded, keep_lesson, trained_of
from tierline.services.training.micro_promises import PromiseRequest
from tierline.services.training.micro_rows import LabelledInput, labels_of, micro_tier
from tierline.views.training.steering import MicroModelWithPromise

KINDS = {
    "billing": "I was charged {n} euros twice on my invoice",
    "login": "I cannot log in, my password {n} is not accepted",
    "shipping": "my parcel {n} has not been delivered yet",
    "cancel": "please close my account number {n} for good",
}
MICRO = """
feature: {name}
instructions: Name the kind of the ticket.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output:
  type: object
  required: [kind]
  properties: {{kind: {{type: string, enum: [billing, login, shipping, cancel]}}}}
{more}
tiers:
{micro}
  - {{name: slm, models: [openai:small], max_tokens: 50, timeout_s: 5}}
  - {{name: frontier, models: [openai:large], max_tokens: 50, timeout_s: 5}}
"""
TIER = "  - {name: micro, models: [micro:all-MiniLM-L6-v2]}"
SHADOWED = "shadow: {share: 1}"


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(threads=2)


@pytest.fixture(scope="module")
def lesson(embedder: Embedder) -> Lesson:
    """Of 80 texts a kind, every other one held out."""
    numbers = [number * 7919 % 10_007 for number in range(80)]
    texts = [text.format(n=number) for number in numbers for text in KINDS.values()]
    labels = [kind for _ in numbers for kind in KINDS]
    held = [place % 2 == 1 for place in range(80) for _ in KINDS]
    vectors = embedder.embed([input_text({"text": text}) for text in texts])
    return learn(vectors, labels, held, 0.0)


@pytest.fixture(autouse=True)
def answers(bench: Bench) -> None:
    bench.all("UPDATE outcomes SET shadow_due = false, drawn = false RETURNING seq")
    bench.server.answer = by_text
    bench.executor.queues = (*bench.executor.queues, "deeper-analysis-backfill")
    look_again(bench)


def by_text(body: dict[str, Any]) -> str:
    """Both models know the kind."""
    prompt = body["messages"][-1]["content"]
    kind = next(kind for kind, text in KINDS.items() if text.split("{")[0] in prompt)
    return json.dumps({"kind": kind})


def look_again(bench: Bench) -> None:
    if isinstance(bench.executor.embedding, NoEmbedding):
        bench.executor.embedding = Embedding()
    bench.executor.tier_path.micros = Micros(bench.pool, bench.executor.embedding)
    bench.executor.tier_path.gate = ConfidenceGate(bench.pool, bench.executor.embedding)


def applied(bench: Bench, more: str = SHADOWED, micro: str = TIER) -> tuple[int, Feature]:
    feature = parse_feature(
        MICRO.format(name=f"kinds-{next(bench.numbers)}", more=more, micro=micro)
    )
    with bench.pool.connection() as connection:
        return add_feature(connection, feature), feature


def rows_of(lesson: Lesson) -> list[LabelledInput]:
    """Inputs with labels, as many as the model was fitted on."""
    return [
        LabelledInput({"text": str(number)}, "billing", "large-2026", held_out=False)
        for number in range(lesson.rows)
    ]


TENTH = PromiseRequest(0.1, 0.95)


def kept(
    bench: Bench, feature: Feature, lesson: Lesson, promise: PromiseRequest | None = None
) -> MicroModelWithPromise:
    with bench.pool.connection() as connection, connection.transaction():
        found, tier, _ = micro_tier(connection, feature.name)
        rows = rows_of(lesson)
        trained = trained_of(lesson, rows)
        made = keep_lesson(connection, found, tier, lesson, rows, trained, promise)
    look_again(bench)
    return made


def submitted(bench: Bench, version: int, text: str, **columns: Any) -> UUID:
    return bench.submit(version, text, tier="micro", **columns)


def undrawn() -> UUID:
    """A job's id that no share below one half draws."""
    return next(id for id in iter(new_id, None) if drawn_at(id) >= 0.5)


def asked(bench: Bench, job: UUID) -> list[tuple[Any, ...]]:
    return bench.all(
        "SELECT a.tier, c.model, c.answered_model, c.cost_usd FROM attempts a"
        " JOIN calls c ON c.job_id = a.job_id AND c.attempt = a.number"
        " WHERE a.job_id = %s ORDER BY a.number",
        job,
    )


def test_an_untrained_micro_tier_passes_its_jobs_on(bench: Bench) -> None:
    version, _ = applied(bench)
    job = submitted(bench, version, "my parcel 7 has not been delivered yet")
    bench.run(job)
    moved = bench.job(job)
    assert (moved["tier"], moved["queue"]) == ("slm", "slm")  # no deeper analysis yet
    bench.run(job)
    assert bench.verdicts(job) == ["low_confidence", "passed"]
    with bench.pool.connection() as connection:
        first = decisions_of(connection, bench.account, job).decisions[0]
    assert (first.policy, first.reason) == (
        "micro",
        "no micro model is trained for the feature's current task",
    )


def test_what_a_trained_one_is_sure_of_it_serves_without_a_call(
    bench: Bench, lesson: Lesson
) -> None:
    version, feature = applied(bench)
    made = kept(bench, feature, lesson, TENTH)
    assert made.calibration.state == "in_force"
    assert made.calibration.bound <= 0.1
    calls = len(bench.server.calls)
    job = submitted(bench, version, "my parcel 1234 has not been delivered yet")
    bench.run(job)
    assert bench.job(job)["status"] == "completed"
    assert bench.one("SELECT output FROM answers WHERE job_id = %s", job) == {"kind": "shipping"}
    assert asked(bench, job) == [("micro", "micro:all-MiniLM-L6-v2", made.model, 0)]
    assert len(bench.server.calls) == calls
    with bench.pool.connection() as connection:
        (decision,) = decisions_of(connection, bench.account, job).decisions
    assert decision.calibration_id == made.calibration.id
    assert {"likeness", "margin", "log_probability"} < set(decision.confidence_signals)


def test_what_it_is_not_sure_of_goes_to_the_next_tier_and_nobody_is_told_of_deeper_analysis(
    bench: Bench, lesson: Lesson
) -> None:
    version, feature = applied(bench)
    kept(bench, feature, lesson, TENTH)
    bench.server.answer = lambda _: '{"kind": "cancel"}'
    strange = submitted(bench, version, "the fox ran over the hill while it rained on all bridges")
    bench.run(strange, 2)
    assert bench.verdicts(strange) == ["low_confidence", "passed"]
    assert bench.job(strange)["tier"] == "slm"
    assert "its input is unlike those" in bench.job(strange)["escalation_reason"]
    # No promise is about such an input, and no later one will be made from it.
    assert bench.all("SELECT FROM outcomes WHERE job_id = %s", strange) == []


def test_without_a_promise_all_that_it_says_is_an_outcome(bench: Bench, lesson: Lesson) -> None:
    version, feature = applied(bench)
    made = kept(bench, feature, lesson)
    assert made.calibration is None
    job = submitted(bench, version, "please close my account number 99 for good")
    bench.run(job, 2)
    assert bench.verdicts(job) == ["low_confidence", "passed"]
    for _ in range(2):
        keep_references(bench.pool, time.monotonic() + 30)
        for (shadow,) in bench.all(
            "SELECT id FROM jobs WHERE shadow_of = %s AND status = 'queued'", job
        ):
            bench.run(shadow)
    keep_references(bench.pool, time.monotonic() + 30)
    # Held to the last tier, not to the one between, which answered its job.
    assert bench.all("SELECT differs, reference_by FROM outcomes WHERE job_id = %s", job) == [
        (False, "large-2026")
    ]


def test_a_withdrawn_one_answers_no_more_and_a_new_one_needs_its_own_promise(
    bench: Bench, lesson: Lesson
) -> None:
    version, feature = applied(bench)
    first = kept(bench, feature, lesson, TENTH)
    second = kept(bench, feature, lesson)
    job = submitted(bench, version, "my parcel 55 has not been delivered yet")
    bench.run(job)
    assert "there is no calibration" in bench.job(job)["escalation_reason"]
    with bench.pool.connection() as connection:
        withdraw_micro_model(connection, feature.name, int(second.id))
        assert [one.id for one in micro_models_of(connection, feature.name)] == [
            second.id,
            first.id,
        ]
    look_again(bench)
    later = submitted(bench, version, "my parcel 56 has not been delivered yet")
    bench.run(later)
    assert bench.job(later)["status"] == "completed"


def test_each_promise_of_a_micro_tier_is_tested_harder_than_the_one_before(
    bench: Bench, lesson: Lesson
) -> None:
    """The same inputs are held out each time."""
    _, feature = applied(bench)
    first = kept(bench, feature, lesson, TENTH).calibration
    second = kept(bench, feature, lesson, TENTH).calibration
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.tested_at > first.tested_at


def test_too_few_held_out_answers_keep_neither_model_nor_promise(
    bench: Bench, lesson: Lesson
) -> None:
    _, feature = applied(bench)
    with pytest.raises(NotEnoughData) as refused:
        kept(bench, feature, lesson, PromiseRequest(0.001, 0.95))
    assert refused.value.missing > 2_000
    with bench.pool.connection() as connection:
        assert micro_models_of(connection, feature.name) == []
        assert calibrations_of(connection, feature.name) == []


def uploaded(bench: Bench, feature: Feature, lesson: Lesson) -> MicroModelWithPromise:
    """What a client trained, kept."""
    document, vectors = to_parts(lesson.micro)
    trained = Trained(lesson.rows, lesson.right, "0" * 64, {}, document, vectors)
    with bench.pool.connection() as connection:
        made = add_uploaded(connection, feature.name, trained)
    look_again(bench)
    return made


def test_what_a_client_trained_answers_without_a_promise(bench: Bench, lesson: Lesson) -> None:
    version, feature = applied(bench)
    kept(bench, feature, lesson, TENTH)
    made = uploaded(bench, feature, lesson)
    assert (made.trained_by, made.calibration) == ("client", None)
    job = submitted(bench, version, "my parcel 57 has not been delivered yet")
    bench.run(job)
    assert bench.verdicts(job) == ["low_confidence"]
    inputs = bench.one("SELECT inputs IS NULL FROM micro_models WHERE id = %s", made.id)
    assert inputs


def test_labels_that_the_feature_lacks_and_features_without_a_micro_tier_are_refused(
    bench: Bench, lesson: Lesson, embedder: Embedder
) -> None:
    _, feature = applied(bench)
    vectors = embedder.embed([f"text {number}" for number in range(8)])
    odd = learn(vectors, ["billing", "weather"] * 4, [False] * 8, 0.0)
    with pytest.raises(InvalidInput, match="weather"):
        uploaded(bench, feature, odd)
    _, plain = applied(bench, micro="")
    with pytest.raises(Conflict, match="has no micro tier"):
        uploaded(bench, plain, lesson)


def test_labels_are_the_last_tiers_or_peoples_and_never_an_earlier_tiers(bench: Bench) -> None:
    version, feature = applied(bench, more="shadow: {share: 0.1}")
    served = submitted(bench, version, "I was charged 1 euros twice on my invoice", id=undrawn())
    bench.run(served, 2)  # by the small model, which was not drawn to be compared
    told = submitted(bench, version, "I cannot log in, my password 2 is not accepted", id=undrawn())
    bench.run(told, 2)
    with bench.pool.connection() as connection:
        connection.execute(
            "INSERT INTO feedback (job_id, account_id, expected) VALUES (%s, %s, %s)",
            (told, bench.account, json.dumps({"kind": "login"})),
        )
    bench.server.answer = lambda body: (
        "no idea" if body["model"] == "small" else '{"kind": "shipping"}'
    )
    escalated = submitted(bench, version, "my parcel 3 has not been delivered yet", id=undrawn())
    bench.run(escalated, 3)
    with bench.pool.connection() as connection:
        found = labels_of(connection, feature.name)
        other = labels_of(connection, feature.name, add_account(connection, "umbrella"))
    assert [(one.job_id, one.label, one.said_by) for one in found] == [
        (escalated, "shipping", "large-2026"),
        (told, "login", None),
    ]
    assert not any(one.representative for one in found)
    assert other == []


def test_where_the_last_tier_answers_all_its_answers_stand_for_all(bench: Bench) -> None:
    _, feature = applied(bench)
    alone = parse_feature(
        MICRO.format(name=feature.name, more="routing: frontier_only", micro=TIER)
    )
    with bench.pool.connection() as connection:
        version = add_feature(connection, alone, version=2)
    job = bench.submit(
        version, "my parcel 4 has not been delivered yet", tier="frontier", tier_index=2
    )
    bench.run(job)
    again = parse_feature(MICRO.format(name=feature.name, more=SHADOWED, micro=TIER))
    with bench.pool.connection() as connection:
        add_feature(connection, again, version=3)
        (row,) = labels_of(connection, feature.name)
    assert (row.label, row.representative) == ("shipping", True)


def test_a_micro_models_numbers_are_those_that_were_sent(bench: Bench, lesson: Lesson) -> None:
    _, feature = applied(bench)
    kept(bench, feature, lesson)
    input = {"text": "my parcel 1 has not been delivered yet"}
    ready = bench.executor.tier_path.micros.ready(feature, input, lambda: True)
    assert np.array_equal(ready.model.head.weights, lesson.micro.head.weights)
