"""Daily looks: a reference, what moved, and what follows from it, on a real Postgres."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.integration.services.conftest import Bench
from tests.support.rows import add_account, add_calibration
from tierline.features import Feature
from tierline.services.drift import Drift, drift_of
from tierline.services.recipes import recipe_of

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
        asked = text.format(n=draw.randrange(10_000), m=draw.randrange(5_000))
        rows.append(
            bench.submit(
                version, asked, status="completed", completed_at=now(bench), answer_attempt=1
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
    bench.all("UPDATE jobs SET completed_at = completed_at - interval '25 hours' RETURNING id")
    bench.all(
        "UPDATE calibrations SET created_at = created_at - interval '25 hours'"
        " WHERE feature = %s RETURNING id",
        feature.name,
    )


def shown(bench: Bench, feature: Feature, account: int | None = None) -> dict[str, Any]:
    with bench.pool.connection() as connection:
        return drift_of(connection, feature.name, account)


def test_without_evidence_nothing_is_looked_at(bench: Bench, draw: random.Random) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 150)
    assert look(bench) == 0
    found = shown(bench, feature)
    assert (found["evidence"], found["reference"], found["looks"]) == (None, None, [])


def test_traffic_that_stays_the_same_is_seen_to_and_looked_at_once_a_day(
    bench: Bench, draw: random.Random, endpoint: UUID
) -> None:
    version, feature = applied(bench)
    jobs(bench, version, draw, 400)
    id = calibrated(bench, feature)
    assert look(bench) == 0  # the reference
    assert shown(bench, feature)["reference"]["inputs"] == 400
    for day in range(1, 4):
        a_day_later(bench, feature)
        jobs(bench, version, draw, 60)
        assert look(bench) == 1
        assert look(bench) == 0
        found = shown(bench, feature)
        assert [one["number"] for one in found["looks"]] == list(range(day, 0, -1))
    assert not found["drifted"]
    assert found["evidence"] == f"calibration {id}"
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
    found = shown(bench, feature)
    assert found["drifted"]
    assert found["moved"][0] in ("novelty", "crowding")
    assert all("weather" in one["input"]["text"] for one in found["examples"][:5])
    assert told(bench, endpoint) == ["feature.drift"]
    reason = bench.one("SELECT withdrawn_reason FROM calibrations WHERE id = %s", id)
    assert reason.startswith("what it was made on has changed: ")
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
