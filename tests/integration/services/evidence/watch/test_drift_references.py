"""What traffic is compared with: the inputs and labels that a promise was made from."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.database.rows import add_router, make_older
from tests.support.scenes.bench import Bench
from tests.support.scenes.drift import USUAL, a_day_later, applied, calibrated, jobs, look, shown
from tierline.features import Feature
from tierline.services.evidence.labels.datasets import FileExample, build
from tierline.services.evidence.watch.drift_references import evidence_of
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import drift

pytestmark = pytest.mark.usefixtures("answers")


def test_too_few_known_inputs_are_said(bench: Bench, draw: random.Random) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 99)
    id = calibrated(bench, feature)
    assert look(bench) == 0
    drift = shown(bench, feature)
    assert drift["reference"] is None
    assert drift["waits_for"] == (
        f"newer evidence: 99 inputs are stored from the time of calibration {id}, and 100 are"
        " needed"
    )


def dataset(bench: Bench, feature: Feature, count: int) -> int:
    """A dataset of a file's rows, which nobody asked about; its version."""
    texts = [USUAL[n % len(USUAL)].format(n=n, m=n * 7 % 5_000) for n in range(count)]
    given = [FileExample({"text": text}, {"amount": 1}) for text in texts]
    with bench.pool.connection() as connection:
        return build(connection, feature.name, given, jobs=False).version


def test_a_promise_made_from_a_file_is_compared_with_the_files_rows(
    bench: Bench, draw: random.Random
) -> None:
    version, feature = applied(bench)
    built = dataset(bench, feature, 240)
    id = calibrated(bench, feature)
    assert shown(bench, feature)["waits_for"].startswith("the workers")
    assert look(bench) == 0
    drift = shown(bench, feature)
    assert drift["reference"] | {"created_at": ""} == {
        **{"evidence": f"calibration {id}", "inputs": 240, "dataset": built, "created_at": ""},
    }
    for new in (0.0, 0.0, 0.5, 0.5, 0.5):
        a_day_later(bench, feature)
        jobs(bench, version, draw, 60, new)
        assert not shown(bench, feature)["drifted"] or new
        look(bench)
    assert shown(bench, feature)["drifted"]
    assert bench.one("SELECT withdrawn_reason FROM calibrations WHERE id = %s", id)


def test_a_dataset_that_came_after_the_promise_is_not_its_reference(bench: Bench) -> None:
    _, feature = applied(bench)
    id = calibrated(bench, feature)
    dataset(bench, feature, 240)
    look(bench)
    drift = shown(bench, feature)
    assert drift["reference"] is None
    assert f"0 inputs are stored from the time of calibration {id}" in drift["waits_for"]


def test_the_oldest_promise_in_force_is_what_traffic_is_held_against(
    bench: Bench, draw: random.Random
) -> None:
    """A newer one, or a router, would hide what changed before it was made."""
    _, feature = applied(bench)
    first, second = calibrated(bench, feature), calibrated(bench, feature)
    with bench.pool.connection() as connection:
        add_router(connection, feature.name, recipe_of(connection, feature, feature.tiers[0]))
    assert shown(bench, feature)["evidence"] == f"calibration {first}"
    for id, left in ((first, f"calibration {second}"), (second, "router ")):
        bench.all("UPDATE calibrations SET withdrawn_at = now() WHERE id = %s RETURNING id", id)
        assert shown(bench, feature)["evidence"].startswith(left)


def test_known_inputs_are_those_of_the_time_that_the_outcomes_come_from(
    bench: Bench, draw: random.Random
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 150)
    job = bench.submit(version)
    bench.run(job)
    seq = bench.one("SELECT seq FROM outcomes WHERE job_id = %s", job)
    jobs(bench, version, draw, 130)
    id = calibrated(bench, feature)
    recipe = bench.one("SELECT recipe FROM calibrations WHERE id = %s", id)
    bench.all("UPDATE outcomes SET recipe = %s, drawn = true RETURNING seq", recipe)
    bench.all(
        "UPDATE calibrations SET first_seq = %s, last_seq = %s WHERE id = %s RETURNING id",
        *(seq, seq, id),
    )
    jobs(bench, version, draw, 20)
    look(bench)
    assert shown(bench, feature)["reference"]["inputs"] == 130


def test_only_audits_of_what_the_calibration_served_are_its_errors(
    bench: Bench, draw: random.Random
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 150)
    id = calibrated(bench, feature)
    look(bench)
    a_day_later(bench, feature)
    jobs(bench, version, draw, 40)
    for number, (of, differs) in enumerate([(id, True), (id, False), (id + 1, True)]):
        job = bench.submit(version, f"audited {number}")
        bench.run(job)
        bench.all(
            "UPDATE outcomes SET calibration_id = %s, served = true, drawn = true, differs = %s,"
            " repeated = false, noted_at = clock_timestamp() WHERE job_id = %s RETURNING seq",
            *(of, differs, job),
        )
    assert look(bench) == 1
    (errors,) = [one for one in shown(bench, feature)["figures"] if one["name"] == "errors"]
    assert errors["mean"] == 0.5
    bench.all("UPDATE calibrations SET reference = 'human' WHERE id = %s RETURNING id", id)
    with bench.pool.connection() as connection:
        evidence = evidence_of(connection, feature)
    assert evidence is not None
    assert evidence["served"] is None  # what people hold wrong is not what differs from a model


def test_a_draw_takes_from_the_whole_time(bench: Bench, draw: random.Random) -> None:
    version, feature = applied(bench)
    for hours in range(10, 0, -1):
        jobs(bench, version, draw, 30)
        with bench.pool.connection() as connection:
            make_older(connection, hours * 3600, [version])
    with bench.pool.connection() as connection, connection.transaction():
        ids = drift.version_ids(connection, feature.name)
        until = datetime.now(UTC)
        rows = drift.sample(connection, ids, until - timedelta(days=1), until, 100)
    assert len(rows) == 100
    assert len({row["completed_at"].replace(minute=0, second=0, microsecond=0) for row in rows}) > 8
    assert rows == sorted(rows, key=lambda row: row["completed_at"])


def test_a_draw_reads_a_bounded_number_of_jobs(
    bench: Bench, draw: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, feature = applied(bench)
    since = datetime.now(UTC)
    jobs(bench, version, draw, 100)
    monkeypatch.setattr(drift, "PARTS", 1)
    monkeypatch.setattr(drift, "OF_A_PART", (2, 3))
    with bench.pool.connection() as connection:
        ids = drift.version_ids(connection, feature.name)
        until = datetime.now(UTC)
        assert len(drift.sample(connection, ids, since, until, 100)) <= 3
        monkeypatch.setattr(drift, "OF_A_PART", (10_000,))
        assert len(drift.sample(connection, ids, since, until, 100)) == 100


def test_a_job_that_ended_after_a_draw_is_in_the_next_one(
    bench: Bench, draw: random.Random
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 1)
    ((waited, ended),) = bench.all(
        "SELECT id, completed_at FROM jobs WHERE feature_version_id = %s ORDER BY seq DESC LIMIT 1",
        version,
    )
    with bench.pool.connection() as connection:
        ids = drift.version_ids(connection, feature.name)
        drawn = drift.sample(connection, ids, ended - timedelta(milliseconds=1), ended, 100)
        assert waited in [row["id"] for row in drawn], "it was created before"
        assert drift.sample(connection, ids, ended, ended + timedelta(seconds=1), 100) == []
