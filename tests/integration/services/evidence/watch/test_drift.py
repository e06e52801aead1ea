"""Daily looks: a reference, what moved, and what follows from it, on a real Postgres."""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.database.rows import (
    add_account,
    add_calibration,
    add_feature,
    add_router,
    make_older,
)
from tests.support.scenes.bench import Bench
from tierline.drift.daily_check import DayCheck, DriftState
from tierline.features import Feature
from tierline.services.accounts.accounts import create_key
from tierline.services.evidence.labels.datasets import FileExample, build
from tierline.services.evidence.watch.drift import Drift
from tierline.services.evidence.watch.drift_announcements import moved_figures
from tierline.services.evidence.watch.drift_references import evidence_of, same_models
from tierline.services.evidence.watch.drift_shown import drift_of
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import drift

CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}"
USUAL = (
    "invoice number {n} over {m} euros is due",
    "please pay {m} dollars for order {n}",
    "the bill {n} says {m} pounds",
    "reminder: {m} euros for contract {n} are open",
)
NEW = "the weather in town {n} will be {m} degrees and rain tomorrow"


@pytest.fixture(autouse=True)
def answers(bench: Bench) -> None:
    bench.server.answer = lambda _: '{"amount": 1}'


@pytest.fixture
def draw() -> random.Random:
    return random.Random(3)


def jobs(bench: Bench, version: int, draw: random.Random, count: int, new: float = 0.0) -> None:
    """Jobs that have ended; of the new kind so many of them."""
    rows = []
    for _ in range(count):
        text = NEW if draw.random() < new else draw.choice(USUAL)
        input = text.format(n=draw.randrange(10_000), m=draw.randrange(5_000))
        rows.append(
            bench.submit(
                version, input, status="completed", completed_at=now(bench), answer_attempt=1
            )
        )


def now(bench: Bench) -> str:
    return str(bench.one("SELECT clock_timestamp()"))


@pytest.fixture
def endpoint(bench: Bench) -> Iterator[UUID]:
    id = bench.one(
        "INSERT INTO webhook_endpoints (id, account_id, url, events, secret)"
        " VALUES (gen_random_uuid(), %s, 'http://127.0.0.1:9/',"
        " '{feature.drift,feature.refresh_due}', 'whsec_x') RETURNING id",
        bench.account,
    )
    yield id
    bench.all("DELETE FROM deliveries WHERE endpoint_id = %s RETURNING id", id)
    bench.all("DELETE FROM webhook_endpoints WHERE id = %s RETURNING id", id)


def told(bench: Bench, endpoint: UUID) -> list[str]:
    rows = bench.all("SELECT event FROM deliveries WHERE endpoint_id = %s ORDER BY seq", endpoint)
    return [event for (event,) in rows]


def applied(bench: Bench, more: str = "") -> tuple[int, Feature]:
    bench.all("DELETE FROM features RETURNING name")  # other tests' are not this one's
    return bench.apply(f"{CALIBRATED}\n{more}")


def calibrated(bench: Bench, feature: Feature) -> int:
    with bench.pool.connection() as connection:
        id = add_calibration(connection, feature.name)
        made_by = recipe_of(connection, feature, feature.tiers[0])
        connection.execute("UPDATE calibrations SET recipe = %s WHERE id = %s", (made_by, id))
    return id


def look(bench: Bench) -> int:
    return Drift(bench.pool).look_due(time.monotonic() + 60)


def a_day_later(bench: Bench, feature: Feature) -> None:
    """All that was kept is a day older."""
    for table, column in (("drift_references", "created_at"), ("drift_looks", "looked_at")):
        bench.all(f"UPDATE {table} SET {column} = {column} - interval '25 hours' RETURNING id")
    bench.all("UPDATE drift_looks SET up_to = up_to - interval '25 hours' RETURNING id")
    with bench.pool.connection() as connection:
        make_older(connection, 25 * 3600)
    bench.all(
        "UPDATE calibrations SET created_at = created_at - interval '25 hours'"
        " WHERE feature = %s RETURNING id",
        feature.name,
    )


def shown(bench: Bench, feature: Feature, account: int | None = None) -> dict[str, Any]:
    with bench.pool.connection() as connection:
        drift: dict[str, Any] = json.loads(drift_of(connection, feature.name, account).to_json())
    return drift


def test_without_evidence_nothing_is_looked_at(bench: Bench, draw: random.Random) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 150)
    assert look(bench) == 0
    drift = shown(bench, feature)
    assert (drift["evidence"], drift["reference"], drift["looks"]) == (None, None, [])
    assert drift["waits_for"].startswith("a calibration or a router in force")


def test_traffic_that_stays_the_same_is_seen_to_and_looked_at_once_a_day(
    bench: Bench, draw: random.Random, endpoint: UUID
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 400)
    id = calibrated(bench, feature)
    assert look(bench) == 0  # the reference
    assert shown(bench, feature)["reference"]["inputs"] == 400
    assert shown(bench, feature)["waits_for"].startswith("20 new inputs")
    for day in range(1, 4):
        a_day_later(bench, feature)
        jobs(bench, version, draw, 60)
        assert look(bench) == 1
        assert look(bench) == 0
        drift = shown(bench, feature)
        assert [one["number"] for one in drift["looks"]] == list(range(day, 0, -1))
    assert not drift["drifted"]
    assert drift["waits_for"] is None
    assert drift["evidence"] == f"calibration {id}"
    assert told(bench, endpoint) == []


def test_a_new_kind_of_input_ends_the_promise_and_is_told_once_with_examples(
    bench: Bench, draw: random.Random, endpoint: UUID
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 400)
    id = calibrated(bench, feature)
    look(bench)
    for _ in range(4):
        a_day_later(bench, feature)
        jobs(bench, version, draw, 100, new=0.2)
        look(bench)
    drift = shown(bench, feature)
    assert drift["drifted"]
    assert drift["moved"][0] in ("novelty", "crowding")
    assert all("weather" in one["input"]["text"] for one in drift["examples"][:5])
    assert told(bench, endpoint) == ["feature.drift"]
    reason = bench.one("SELECT withdrawn_reason FROM calibrations WHERE id = %s", id)
    assert reason.startswith("the traffic has changed: ")
    with bench.pool.connection() as connection:
        other = add_account(connection, f"other-{next(bench.numbers)}")
    assert shown(bench, feature, other)["examples"] == []
    a_day_later(bench, feature)
    jobs(bench, version, draw, 100, new=0.2)
    assert look(bench) == 0  # nothing is left that it could break


def test_old_evidence_is_told_once(bench: Bench, draw: random.Random, endpoint: UUID) -> None:
    version, feature = applied(bench, "refresh_days: 1")
    jobs(bench, version, draw, 200)
    calibrated(bench, feature)
    look(bench)
    for _ in range(3):
        a_day_later(bench, feature)
        bench.all(
            "UPDATE drift_references SET evidence_at = evidence_at - interval '25 hours'"
            " RETURNING id"
        )
        jobs(bench, version, draw, 40)
        assert look(bench) == 1
    assert told(bench, endpoint) == ["feature.refresh_due"]
    assert shown(bench, feature)["refresh_due"]


def test_old_evidence_is_told_where_no_look_can_be_taken(
    bench: Bench, draw: random.Random, endpoint: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, feature = applied(bench, "refresh_days: 1")
    jobs(bench, version, draw, 150)
    calibrated(bench, feature)
    a_day_later(bench, feature)
    jobs(bench, version, draw, 1)
    with monkeypatch.context() as patch:
        patch.setattr("tierline.base.embeddings.WHEEL", "a-wheel-that-nobody-installed")
        assert look(bench) == look(bench) == 0
        drift = shown(bench, feature)
    assert drift["waits_for"].startswith("the extra `routing`")
    assert (drift["reference"], drift["drifted"]) == (None, False)
    assert told(bench, endpoint) == ["feature.refresh_due"]
    look(bench)  # with what it needs, and nothing is told again
    assert shown(bench, feature)["reference"]["inputs"] == 150
    assert told(bench, endpoint) == ["feature.refresh_due"]


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


def test_operators_hear_of_features_that_others_use(
    bench: Bench, draw: random.Random, endpoint: UUID
) -> None:
    version, feature = applied(bench, "refresh_days: 1")
    with bench.pool.connection() as connection:
        user = add_account(connection, f"user-{next(bench.numbers)}")
    jobs(bench, version, draw, 120)
    bench.all("UPDATE jobs SET account_id = %s RETURNING id", user)
    calibrated(bench, feature)
    a_day_later(bench, feature)
    look(bench)
    assert told(bench, endpoint) == []  # it is the user's account alone that asked
    name = bench.one("SELECT name FROM accounts WHERE id = %s", bench.account)
    with bench.pool.connection() as connection:
        create_key(connection, name, ("operator",))
    bench.all("DELETE FROM drift_references RETURNING id")
    look(bench)
    assert told(bench, endpoint) == ["feature.refresh_due"]
    bench.all("DELETE FROM api_keys WHERE account_id = %s RETURNING id", bench.account)


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


def test_versions_that_ask_for_something_else_are_other_traffic(bench: Bench) -> None:
    version, feature = applied(bench)
    other = replace(feature, input_schema={"type": "object"}, instructions="Other.")
    same = replace(feature, instructions="Give the amount, please.")
    with bench.pool.connection() as connection:
        add_feature(connection, other, 2)
        third = add_feature(connection, same, 3)
        assert drift.version_ids(connection, feature.name) == [version, third]


def test_of_many_that_look_at_once_one_look_counts(bench: Bench, draw: random.Random) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 200)
    calibrated(bench, feature)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: look(bench), range(4)))
        assert (
            bench.one("SELECT count(*) FROM drift_references WHERE feature = %s", feature.name) == 1
        )
        a_day_later(bench, feature)
        jobs(bench, version, draw, 40)
        assert sum(threads.map(lambda _: look(bench), range(4))) == 1
    assert len(shown(bench, feature)["looks"]) == 1
    kept = bench.one("SELECT count(*) FROM drift_looks WHERE vectors IS NOT NULL")
    assert kept >= 1


def test_few_inputs_wait_for_more(bench: Bench, draw: random.Random) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 200)
    calibrated(bench, feature)
    look(bench)
    a_day_later(bench, feature)
    jobs(bench, version, draw, 10)
    assert look(bench) == 0
    jobs(bench, version, draw, 15)
    assert look(bench) == 1


def test_labels_are_held_against_those_of_the_same_models_alone() -> None:
    kept = {"document": {"models": ["large-1"]}}
    assert same_models(kept, [{"model": "large-1"}, {"model": None}])
    assert not same_models(kept, [{"model": "large-1"}, {"model": "micro-3"}])
    assert same_models({"document": {}}, [{"model": "micro-3"}])  # of an earlier release


def test_a_figure_that_nothing_was_bet_on_has_not_moved() -> None:
    by = {"novelty": 40.0, "labels": 1.0, "length": 0.2}
    assert moved_figures(DayCheck(DriftState(), 20.0, True, by, {}, ())) == ["novelty"]
    assert moved_figures(DayCheck(DriftState(), 2.0, False, by, {}, ())) == []
