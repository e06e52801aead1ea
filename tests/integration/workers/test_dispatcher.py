"""A dispatcher that cannot go on says so and ends, to be started anew; it never half works."""

import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.services.jobs.dispatching.dispatch import Choice


@pytest.fixture
def dispatcher(environment: None) -> Iterator["subprocess.Popen[str]"]:
    """A dispatcher process on the settings of this module."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.dispatcher"],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_database_that_is_not_migrated_is_said_and_no_traceback(empty_database_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "workers.dispatcher"],
        env={**os.environ, "DATABASE_URL": empty_database_url, "REDIS_URL": "redis://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "run 'tierline db upgrade'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_ends_when_its_watcher_does(
    dispatcher: "subprocess.Popen[str]", database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_until(
            lambda: (
                connection.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name LIKE '%dispatcher%'"
                ).fetchone()
                is not None
            ),
            DEADLINE_S,
            "the dispatcher to connect",
        )
        connection.execute("ALTER TABLE worker_beats RENAME COLUMN beat TO beaten")
    assert dispatcher.wait(DEADLINE_S) == 1


def test_what_was_chosen_goes_out_although_a_later_choice_fails(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import dispatcher as module
    from workers.app import create_app

    job_id = new_id()
    sent: list[tuple[str, tuple[str, ...]]] = []

    def choose(_: object, pool: object, name: str, threads: int, kept: int) -> Choice:
        if name == "deeper-analysis":
            raise psycopg.OperationalError("cut")
        return Choice({job_id: "slm"})

    monkeypatch.setattr(module.Dispatcher, "lead", lambda _: object())
    monkeypatch.setattr(module.Dispatch, "look", lambda *_: ["slm", "deeper-analysis"])
    monkeypatch.setattr(module.Dispatch, "choose_on", choose)
    monkeypatch.setattr(module, "publish", lambda _, messages: sent.extend(messages))
    one = module.Dispatcher(settings(), create_app())
    with pytest.raises(psycopg.OperationalError):
        one.choose_once()
    assert sent == [("slm", (str(job_id),))]


def test_chosen_deliveries_go_out_although_looking_for_steps_fails(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import dispatcher as module
    from workers.app import create_app

    delivery_id = new_id()
    sent: list[tuple[str, tuple[str, ...]]] = []

    def cut(_: object) -> list[UUID]:
        raise psycopg.OperationalError("cut")

    monkeypatch.setattr(module.Dispatcher, "lead", lambda _: None)
    monkeypatch.setattr(module.deliveries, "choose", lambda *_: [delivery_id])
    monkeypatch.setattr(module, "due_evaluations", cut)
    monkeypatch.setattr(module, "publish", lambda _, messages: sent.extend(messages))
    one = module.Dispatcher(settings(), create_app())
    one.see_threads({"maintenance": 1})
    with pytest.raises(psycopg.OperationalError):
        one.choose_once()
    assert sent == [("webhooks", (str(delivery_id),))]


def test_a_lead_that_fails_gives_its_connection_back(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import dispatcher as module
    from workers.app import create_app

    def cut(*_: object) -> bool:
        raise psycopg.OperationalError("cut")

    monkeypatch.setattr(module, "TRY_LEAD_S", 0.0)
    monkeypatch.setattr(module.Dispatch, "lead", cut)
    one = module.Dispatcher(settings(), create_app())
    with one.pool:
        for _ in range(2 * one.pool.max_size):
            with pytest.raises(psycopg.OperationalError, match="cut"):
                one.lead()


def test_a_sweep_that_could_not_be_sent_is_sent_with_the_next_choice(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import dispatcher as module
    from workers.app import create_app

    sent: list[tuple[str, tuple[str, ...]]] = []

    def away(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(module.Dispatch, "look", lambda *_: [])
    monkeypatch.setattr(module, "BROKER_WAIT_S", 0.0)
    monkeypatch.setattr(module.deliveries, "choose", lambda *_: [])
    one = module.Dispatcher(settings(), create_app())
    one.sweep()
    with one.pool:
        monkeypatch.setattr(module, "publish", away)
        assert one.choose_once() is None
        monkeypatch.setattr(module, "publish", lambda _, messages: sent.extend(messages))
        assert one.choose_once() is not None
        assert one.choose_once() is None
    assert sent == [("maintenance", ())]


def test_no_evaluation_is_hinted_at_while_no_worker_takes_the_hints(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import dispatcher as module
    from workers.app import create_app

    sent: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(module.Dispatch, "look", lambda *_: [])
    monkeypatch.setattr(module.deliveries, "choose", lambda *_: [])
    monkeypatch.setattr(module, "due_evaluations", lambda _: [7])
    monkeypatch.setattr(module, "publish", lambda _, messages: sent.extend(messages))
    one = module.Dispatcher(settings(), create_app())
    with one.pool:
        one.choose_once()
        assert sent == []
        one.see_threads({"maintenance": 1})
        one.choose_once()
    assert sent == [("maintenance", ("7",))]
