"""Daily looks: what moved, and what follows from it, on a real Postgres."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from tests.support.database.rows import add_account, add_feature
from tests.support.scenes.bench import Bench
from tests.support.scenes.drift import a_day_later, applied, calibrated, jobs, look, shown
from tierline.services.accounts.accounts import create_key
from tierline.storage.evidence import drift

pytestmark = pytest.mark.usefixtures("answers")


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
