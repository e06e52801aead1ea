"""A worker process keeps threads free from backfills, however many of their hints wait."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
import redis

from tests.support.database.rows import add_account, add_feature, add_job, one_tier, status_of
from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.waiting import wait_until
from tierline.base.settings import settings

THREADS = 16  # one of them is kept free


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A model that answers the text `quick`, and nothing else while the test runs."""

    def answer(body: Mapping[str, Any]) -> Reply:
        return Reply() if "quick" in str(body["messages"]) else Reply(delay_s=3_600)

    with ModelServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        yield server


@pytest.fixture
def worker(environment: None, model: ModelServer) -> Iterator[None]:
    with redis.Redis.from_url(settings().broker) as broker:
        broker.flushdb()
    arguments = ["--queues", "slm,slm-backfill", "--name", "one", "--threads", str(THREADS)]
    command = [sys.executable, "-m", "workers", *arguments]
    child = subprocess.Popen(command, env=dict(os.environ))
    yield
    child.kill()
    child.wait(30)


@pytest.mark.usefixtures("worker")
def test_an_interactive_job_starts_at_once_behind_any_number_of_hints_of_backfills(
    database_url: str, model: ModelServer
) -> None:
    from workers.app import create_app
    from workers.hints import publish

    app, feature = create_app(()), one_tier("slow", "openai:one", timeout_s=600)
    with psycopg.connect(database_url, autocommit=True) as db:
        account, version = add_account(db, "acme"), add_feature(db, feature)
        backfills = [add_job(db, account, version, backfill=True) for _ in range(40)]
        publish(app, [("slm-backfill", (str(job),)) for job in backfills])
        wait_until(lambda: len(model.calls) == THREADS - 1, 60, "its threads to be busy")
        assert db.execute("SELECT kept_threads FROM worker_beats").fetchone() == (1,)

        quick = add_job(db, account, version, input={"text": "quick"})
        publish(app, [("slm", (str(quick),))])
        wait_until(lambda: status_of(db, quick) == "completed", 60, "the interactive job")
        assert len(model.calls) == THREADS, "no other backfill took the thread that is kept"
