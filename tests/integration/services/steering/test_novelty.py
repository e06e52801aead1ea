"""A calibration is about inputs like those that it was made on: others escalate."""

import random
from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.support.scenes.bench import Bench, NoEmbedding
from tierline.features import Feature
from tierline.services.calls.embedding import Embedding
from tierline.services.evidence.calibration.calibrate import CalibrationRequest, calibrate
from tierline.services.evidence.calibration.calibrations import calibrations_of
from tierline.services.steering.confidence_gate import ConfidenceGate
from tierline.services.upkeep.retention import remove_content
from tierline.views.evidence.calibrations import Calibration

CALIBRATED = (
    "confidence: {signal: agreement, samples: 2, threshold: calibrated}\nshadow: {share: 1}"
)
SORTS = ("invoice of {n} euros", "please pay {n} dollars", "the bill says {n} pounds")


@pytest.fixture(autouse=True)
def embedding(bench: Bench) -> None:
    prepare(bench)


def prepare(bench: Bench) -> None:
    bench.server.answer = lambda _: '{"amount": 1}'
    if isinstance(bench.executor.embedding, NoEmbedding):
        bench.executor.embedding = Embedding()
    look_again(bench)


def look_again(bench: Bench, embedding: Embedding | None = None) -> None:
    bench.executor.tier_path.gate = ConfidenceGate(
        bench.pool, embedding or bench.executor.embedding
    )


def jobs(bench: Bench, version: int, count: int) -> list[UUID]:
    draw = random.Random(1)
    made = []
    for number in range(count):
        text = SORTS[number % len(SORTS)].format(n=draw.randrange(1_000_000))
        made.append(bench.submit(version, text))
        bench.run(made[-1], 2)
    return made


def calibrated(bench: Bench, feature: Feature) -> Calibration:
    with bench.pool.connection() as connection:
        made = calibrate(connection, feature.name, CalibrationRequest(0.2, 0.95))
    look_again(bench)
    return made


@dataclass(frozen=True)
class Learnt:
    """A version that knows its kind of inputs."""

    version: int
    feature: Feature
    calibration: Calibration


@pytest.fixture(scope="module")
def learnt(module_bench: Bench) -> Learnt:
    prepare(module_bench)
    version, feature = module_bench.apply(CALIBRATED)
    # A quarter of them are the known inputs: 50 at least are needed.
    jobs(module_bench, version, 320)
    return Learnt(version, feature, calibrated(module_bench, feature))


def test_an_input_of_another_kind_escalates_and_becomes_no_outcome(
    bench: Bench, learnt: Learnt
) -> None:
    version, made = learnt.version, learnt.calibration
    assert made.state == "in_force"
    assert made.least_likeness is not None
    alike = bench.submit(version, "invoice of 4711 euros")
    bench.run(alike)
    assert bench.job(alike)["status"] == "completed"
    strange = bench.submit(version, "a haiku about whales, and the sea at night, with no rhyme")
    bench.run(strange, 2)
    assert bench.verdicts(strange) == ["low_confidence", "passed"]
    reason = bench.job(strange)["escalation_reason"]
    assert f"unlike those that calibration {made.id} was made from" in reason
    assert bench.all("SELECT FROM outcomes WHERE job_id = %s", strange) == []


def test_a_worker_that_cannot_tell_serves_nothing_of_such_a_calibration(
    bench: Bench, learnt: Learnt
) -> None:
    look_again(bench, NoEmbedding())
    job = bench.submit(learnt.version, "invoice of 4711 euros")
    bench.run(job)
    assert bench.job(job)["tier"] == "frontier"
    assert "cannot check whether calibration" in bench.job(job)["escalation_reason"]


def test_without_embeddings_a_calibration_is_about_any_input_and_says_so(bench: Bench) -> None:
    version, feature = bench.apply(CALIBRATED)
    look_again(bench, NoEmbedding())
    jobs(bench, version, 120)
    made = calibrated(bench, feature)
    assert (made.state, made.least_likeness, made.novel) == ("in_force", None, 0)
    strange = bench.submit(version, "a haiku about whales, and the sea at night, with no rhyme")
    bench.run(strange)
    assert bench.job(strange)["status"] == "completed"


def test_an_embedding_is_removed_with_its_input(bench: Bench) -> None:
    version, _ = bench.apply(CALIBRATED)
    (job,) = jobs(bench, version, 1)
    kept = "SELECT vector IS NOT NULL FROM outcomes WHERE job_id = %s"
    assert bench.one(kept, job)
    with bench.pool.connection() as connection:
        remove_content(connection, bench.account, job)
    assert not bench.one(kept, job)


def test_a_listed_calibration_says_what_it_is_about(bench: Bench, learnt: Learnt) -> None:
    with bench.pool.connection() as connection:
        (listed,) = calibrations_of(connection, learnt.feature.name)
    assert 0.0 < listed.least_likeness < 1.0
    assert listed.samples + listed.fitted + listed.novel == 320
