"""The dispatcher's watcher: what a stranger has locked keeps nothing else from being looked at."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from psycopg import sql

from tests.support.database.rows import add_account, add_feature, add_job, status_of, two_tiers
from tests.support.waiting import wait_until
from tierline.base.settings import settings
from tierline.storage.jobs import beats, claims
from tierline.storage.operations import operations
from tierline.storage.upkeep import partitions

PAST = "2020-01-01T00:00:00Z"
LEASE_S = 2.0


@pytest.fixture
def dispatcher(environment: None, database_url: str) -> Iterator[Any]:
    """A dispatcher whose threads do not run."""
    from workers.app import create_app
    from workers.dispatcher import Dispatcher

    made = Dispatcher(settings().model_copy(update={"lease_s": LEASE_S}), create_app())
    with made.pool:
        yield made


@pytest.fixture
def watcher(dispatcher: Any) -> Iterator[Any]:
    """The dispatcher's watcher."""
    from workers.watcher import Watcher

    with Watcher(settings().model_copy(update={"lease_s": LEASE_S}), dispatcher) as made:
        yield made


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as opened:
        opened.execute("DELETE FROM jobs")
        opened.execute("DELETE FROM worker_beats")
        yield opened


@pytest.fixture
def submit(connection: psycopg.Connection[Any]) -> Any:
    """Adds a job of a feature with two tiers."""
    account = add_account(connection, f"acme-{uuid4()}")
    version = add_feature(connection, two_tiers(f"echo-{uuid4().hex[:8]}"))
    return lambda **columns: add_job(connection, account, version, **columns)


def lose(connection: psycopg.Connection[Any], job: UUID) -> None:
    """Claim it as a worker that was killed."""
    assert claims.claim(connection, job, uuid4(), ["slm"], "lost") is not None


def look_until(watcher: Any, done: Any, what: str) -> None:
    def looked() -> bool:
        watcher.look()
        return bool(done())

    wait_until(looked, LEASE_S + 5.0, what)


def test_a_strangers_lock_on_one_overdue_job_holds_up_nothing_else(
    watcher: Any, connection: psycopg.Connection[Any], submit: Any, database_url: str
) -> None:
    locked, other = submit(deadline_at=PAST), submit(deadline_at=PAST)
    lost = submit()
    lose(connection, lost)
    with psycopg.connect(database_url) as stranger:
        stranger.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (locked,))
        look_until(watcher, lambda: status_of(connection, lost) == "queued", "the lost job")
        assert status_of(connection, other) == "expired"
        assert status_of(connection, locked) == "queued"
    look_until(watcher, lambda: status_of(connection, locked) == "expired", "the locked job")


def test_a_strangers_lock_on_one_lost_job_holds_up_no_other(
    watcher: Any, connection: psycopg.Connection[Any], submit: Any, database_url: str
) -> None:
    jobs = [submit() for _ in range(3)]
    for job in jobs:
        lose(connection, job)
    with psycopg.connect(database_url) as stranger:
        stranger.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (jobs[0],))
        look_until(
            watcher,
            lambda: {status_of(connection, job) for job in jobs[1:]} == {"queued"},
            "the other lost jobs",
        )
        assert status_of(connection, jobs[0]) == "in_progress"
    look_until(watcher, lambda: status_of(connection, jobs[0]) == "queued", "the locked job")


def test_more_locked_jobs_than_are_looked_at_at_once_hide_none_behind_them(
    watcher: Any,
    connection: psycopg.Connection[Any],
    submit: Any,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tierline.services.jobs.running import recover

    monkeypatch.setattr(recover, "OVERDUE_AT_ONCE", 2)
    locked = [submit(deadline_at=PAST) for _ in range(5)]
    behind = submit(deadline_at="2021-01-01T00:00:00Z")
    with psycopg.connect(database_url) as stranger:
        stranger.execute("SELECT FROM jobs WHERE id = ANY(%s) FOR UPDATE", (locked,))
        look_until(watcher, lambda: status_of(connection, behind) == "expired", "the one behind")


@pytest.mark.parametrize(
    ("table", "what"),
    [("attempts", "its attempt"), ("deliveries", "deliveries"), ("batches", "batches")],
)
def test_a_table_that_a_stranger_locks_takes_nobodys_lease_and_keeps_none(
    watcher: Any,
    connection: psycopg.Connection[Any],
    submit: Any,
    database_url: str,
    table: str,
    what: str,
) -> None:
    overdue, lost = submit(deadline_at=PAST), submit()
    lose(connection, lost)
    with psycopg.connect(database_url) as stranger:
        stranger.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        look_until(watcher, lambda: status_of(connection, overdue) == "expired", what)
        if table != "attempts":
            look_until(watcher, lambda: status_of(connection, lost) == "queued", what)
    look_until(watcher, lambda: status_of(connection, lost) == "queued", what)


def test_a_worker_row_that_is_locked_does_not_keep_a_lost_job(
    watcher: Any, connection: psycopg.Connection[Any], submit: Any, database_url: str
) -> None:
    gone, kept = uuid4(), submit()
    for worker in (gone, uuid4()):
        beats.raise_beat(connection, worker, "gone", ["slm"], 4, 1, [])
    lose(connection, kept)
    with psycopg.connect(database_url) as stranger:
        stranger.execute("SELECT FROM worker_beats WHERE worker = %s FOR UPDATE", (gone,))

        def removed() -> bool:
            rows = connection.execute("SELECT worker FROM worker_beats").fetchall()
            return rows == [(gone,)] and status_of(connection, kept) == "queued"

        wait_until(lambda: (watcher.look(), removed())[1], LEASE_S * 5 + 5.0, "the other row")


def test_partitions_are_made_ahead_at_the_first_look(
    watcher: Any, connection: psycopg.Connection[Any]
) -> None:
    *_, last = partitions.every(connection)["calls"]
    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(last.name)))
    watcher.look()
    assert partitions.every(connection)["calls"][-1] == last


@pytest.fixture
def orphan(connection: psycopg.Connection[Any]) -> int:
    """An operation in progress whose only trainer was killed; its id."""
    connection.execute("DELETE FROM operations")
    made = operations.add_operation(
        connection,
        feature="kinds",
        kind="router",
        account_id=1,
        readable_account_id=None,
        options={},
    )
    assert made is not None
    assert operations.claim(connection, uuid4(), ["router"]) is not None
    return made["id"]


def operation_status(connection: psycopg.Connection[Any], id: int) -> str:
    row = operations.operation(connection, "kinds", id, ["router"])
    assert row is not None
    return row["status"]


def test_a_cancel_ends_an_operation_whose_trainer_is_gone(
    watcher: Any, connection: psycopg.Connection[Any], orphan: int
) -> None:
    operation = operations.ask_to_cancel(connection, "kinds", orphan, ["router"])
    assert operation is not None
    assert operation["status"] == "in_progress"
    look_until(
        watcher, lambda: operation_status(connection, orphan) == "cancelled", "the cancelled one"
    )


def test_an_operation_whose_trainer_is_gone_is_queued_again_so_that_a_cancel_ends_it_at_once(
    watcher: Any, connection: psycopg.Connection[Any], orphan: int
) -> None:
    look_until(watcher, lambda: operation_status(connection, orphan) == "queued", "the lost one")
    operation = operations.ask_to_cancel(connection, "kinds", orphan, ["router"])
    assert operation is not None
    assert operation["status"] == "cancelled"


def test_a_running_trainer_keeps_its_operation(
    watcher: Any, connection: psycopg.Connection[Any], orphan: int, submit: Any
) -> None:
    row = operations.operation(connection, "kinds", orphan, ["router"])
    assert row is not None
    token = row["claim_token"]
    assert token is not None
    lost = submit()
    lose(connection, lost)

    def job_recovered() -> bool:  # a whole lease has passed then
        operations.raise_beat(connection, token)
        return status_of(connection, lost) == "queued"

    look_until(watcher, job_recovered, "the lost job")
    assert operation_status(connection, orphan) == "in_progress"


def test_messages_of_maintenance_do_not_pile_up_while_its_worker_hangs(
    watcher: Any, dispatcher: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import dispatcher as module
    from workers.watcher import MOST_MAINTENANCE

    monkeypatch.setattr(module.Dispatch, "look", lambda *_: [])
    monkeypatch.setattr(module.deliveries, "choose", lambda *_: [])
    monkeypatch.setattr(module, "due_evaluations", lambda _: [7])
    with redis.Redis.from_url(redis_url) as broker:
        broker.delete("maintenance")
        broker.rpush("maintenance", *[b"left by a hanging worker"] * MOST_MAINTENANCE)
        watcher.look()
        dispatcher.see_threads({"maintenance": 1})  # it still beats
        dispatcher.sweep()
        assert dispatcher.choose_once() is None
        assert broker.llen("maintenance") == MOST_MAINTENANCE
        broker.delete("maintenance")
        watcher.look()
        dispatcher.see_threads({"maintenance": 1})
        assert dispatcher.choose_once() is not None
        assert broker.llen("maintenance") == 2  # the sweep and the evaluation
        broker.delete("maintenance")
