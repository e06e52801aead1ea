"""Who watches a feature's promise, on a real Postgres."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.database.rows import add_calibration, add_router
from tests.support.scenes.bench import Bench
from tierline.drift.watching import FEWEST_LABELS
from tierline.features import Feature
from tierline.services.evidence.labels.datasets import FileExample, build
from tierline.services.evidence.watch.drift import Drift
from tierline.services.reports.report import report
from tierline.services.reports.status import status_of
from tierline.services.steering.recipes import recipe_of

CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}"


@pytest.fixture(autouse=True)
def alone(bench: Bench) -> Iterator[None]:
    bench.all("DELETE FROM features RETURNING name")  # other tests' are not this one's
    yield
    bench.all("DELETE FROM feedback RETURNING id")


def promised(bench: Bench, more: str = "") -> tuple[int, Feature, int]:
    version, feature = bench.apply(f"{CALIBRATED}\n{more}")
    with bench.pool.connection() as connection:
        id = add_calibration(connection, feature.name)
        made_by = recipe_of(connection, feature, feature.tiers[0])
        connection.execute("UPDATE calibrations SET recipe = %s WHERE id = %s", (made_by, id))
    return version, feature, id


def watch(bench: Bench, feature: Feature) -> Any:
    """As the status tells it; the report tells the same."""
    now = datetime.now(UTC)
    with bench.pool.connection() as connection:
        status = json.loads(status_of(connection, feature.name).to_json())
        made = report(connection, feature.name, now - timedelta(hours=1), None)
    assert json.loads(made.to_json())["watch"] == status["watch"]
    return status["watch"]


def test_without_a_promise_there_is_nothing_to_watch(bench: Bench) -> None:
    _, feature = bench.apply(CALIBRATED)
    with bench.pool.connection() as connection:
        add_router(connection, feature.name, recipe_of(connection, feature, feature.tiers[0]))
    assert watch(bench, feature) is None


def test_a_promise_that_nothing_looks_at_is_unwatched(bench: Bench) -> None:
    _, feature, id = promised(bench)
    watching = watch(bench, feature)
    assert (watching["evidence"], watching["unwatched"], watching["by"]) == (
        f"calibration {id}",
        True,
        [],
    )
    assert watching["next"] == "tierline features apply FILE"
    assert "shadow: {share: 0.02" in watching["why"]


def test_shadows_watch(bench: Bench) -> None:
    _, feature, _ = promised(bench, "shadow: {share: 0.02}")
    watching = watch(bench, feature)
    assert (watching["unwatched"], watching["by"], watching["next"]) == (False, ["shadow"], None)


def test_a_promise_from_a_file_is_watched_once_the_reference_is_stored(bench: Bench) -> None:
    _, feature = bench.apply(CALIBRATED)
    given = [
        FileExample({"text": f"invoice {n} over {n * 3} euros"}, {"amount": 1}) for n in range(150)
    ]
    with bench.pool.connection() as connection:
        build(connection, feature.name, given, jobs=False)
        id = add_calibration(connection, feature.name)
        made_by = recipe_of(connection, feature, feature.tiers[0])
        connection.execute("UPDATE calibrations SET recipe = %s WHERE id = %s", (made_by, id))
    assert watch(bench, feature)["next"] == f"tierline drift {feature.name}"
    Drift(bench.pool).look_due(time.monotonic() + 60)
    assert watch(bench, feature)["by"] == ["drift"]


def test_feedback_on_jobs_since_the_promise_watches(bench: Bench) -> None:
    version, feature, id = promised(bench)
    # An id has whole milliseconds: a job of the promise's own one would count as older.
    bench.all(
        "UPDATE calibrations SET created_at = created_at - interval '1 second'"
        " WHERE id = %s RETURNING id",
        id,
    )
    jobs = [bench.submit(version, status="completed") for _ in range(FEWEST_LABELS + 1)]
    for count, job in enumerate(jobs):
        watching = watch(bench, feature) if count >= FEWEST_LABELS - 1 else None
        assert watching is None or watching["unwatched"] is (count < FEWEST_LABELS)
        bench.all(
            "INSERT INTO feedback (job_id, account_id, correct) VALUES (%s, %s, true) RETURNING id",
            job,
            bench.account,
        )
    assert watch(bench, feature)["by"] == ["feedback"]
