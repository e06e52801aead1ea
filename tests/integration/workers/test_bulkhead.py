"""A model server that hangs fills its share of a worker's threads; jobs of another model go on.

Real dispatcher and worker processes, and two model servers of which one never answers.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.support.database.rows import add_account, add_feature, add_job, one_tier, status_of
from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.rules.scheduling import limit_of_one_model

THREADS = 8


@dataclass
class Scene:
    """The product's own processes between one server that hangs and one that answers."""

    db: psycopg.Connection[Any]
    hangs: ModelServer
    answers: ModelServer
    account: int

    def feature(self, name: str, model: str) -> int:
        return add_feature(self.db, one_tier(name, model, timeout_s=600))


@contextmanager
def process(*arguments: str) -> Iterator[None]:
    """`python -m ARGUMENTS`, killed at the end: its calls would hang for as long as they may."""
    child = subprocess.Popen([sys.executable, "-m", *arguments], env=dict(os.environ))
    try:
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(DEADLINE_S)


@pytest.fixture
def scene(environment: None, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with ExitStack() as running:
        hangs = running.enter_context(ModelServer(lambda _: Reply(delay_s=3_600)))
        answers = running.enter_context(ModelServer(lambda _: "hello"))
        monkeypatch.setenv("TIERLINE_LOCAL_URL", hangs.url)
        monkeypatch.setenv("OPENAI_BASE_URL", answers.url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        db = running.enter_context(psycopg.connect(database_url, autocommit=True))
        made = Scene(db, hangs, answers, add_account(db, "acme"))
        running.enter_context(process("workers.dispatcher"))
        running.enter_context(
            process(*("workers", "--queues", "slm", "--name", "one", "--threads", str(THREADS)))
        )
        yield made


def test_an_accounts_jobs_of_another_model_go_on_while_one_hangs(scene: Scene) -> None:
    slow = scene.feature("slow", "local:slow")
    quick = scene.feature("quick", "openai:quick")
    stuck = [add_job(scene.db, scene.account, slow) for _ in range(40)]
    share = limit_of_one_model(THREADS)
    wait_until(
        lambda: len(scene.hangs.calls) == share,
        DEADLINE_S,
        "the model that hangs to have its share",
    )
    others = [add_job(scene.db, scene.account, quick) for _ in range(12)]
    wait_until(
        lambda: all(status_of(scene.db, job) == "completed" for job in others),
        DEADLINE_S,
        "the other model's jobs to be done",
    )
    assert len(scene.hangs.calls) == share < THREADS
    assert {status_of(scene.db, job) for job in stuck} == {"queued", "in_progress"}
    attempts = scene.db.execute(
        "SELECT count(*) FROM attempts WHERE job_id = ANY(%s)", (stuck,)
    ).fetchone()
    assert attempts == (share,)  # those that wait have burnt none
