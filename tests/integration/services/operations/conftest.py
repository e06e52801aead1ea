"""Operations in a database, and trainers that are real processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.processes.up import environment as clean_environment
from tests.support.scenes.bulk_actions import pool, scene
from tests.support.waiting import DEADLINE_S
from tierline.storage.operations import operations

__all__ = ["pool", "scene"]

Connection = psycopg.Connection[Any]
Trainer = subprocess.Popen[bytes]
StartTrainer = Callable[..., Trainer]

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def closed_circuits() -> None:
    """No model is asked here, so that there is nothing to close."""


@pytest.fixture
def rows(database_url: str) -> Iterator[Connection]:
    """A connection to the module's database, in which no operation is left from another test."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM operations")
        yield connection


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[StartTrainer]:
    """Start a trainer with the operations of tests.support.processes.small_trainer."""
    running: list[Trainer] = []
    log = (tmp_path / "trainer.log").open("w")

    def begin(**settings: str) -> Trainer:
        env = clean_environment(
            {"DATABASE_URL": database_url, "TIERLINE_BEAT_S": "0.2", "TIERLINE_LEASE_S": "1.5"}
            | settings
        )
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.processes.small_trainer"],
                **{"env": env, "cwd": ROOT, "stdout": log, "stderr": log},
            )
        )
        return running[-1]

    yield begin
    for trainer in running:
        trainer.terminate()
    for trainer in running:
        trainer.wait(DEADLINE_S)
    log.close()


def add(connection: Connection, kind: str, feature: str = "kinds", **options: Any) -> int:
    """A queued operation; its id."""
    row = operations.add_operation(
        connection,
        feature=feature,
        kind=kind,
        account_id=1,
        readable_account_id=None,
        options=options,
    )
    assert row is not None
    return int(row["id"])


def seen(connection: Connection, id: int) -> dict[str, Any]:
    """The row as it is."""
    names = ("status", "losses", "progress", "result", "error_code", "error_message")
    row = connection.execute(
        f"SELECT {', '.join(names)} FROM operations WHERE id = %s", (id,)
    ).fetchone()
    assert row is not None
    return dict(zip(names, row, strict=True))


def alive(pid: int) -> bool:
    """Whether a process of that id runs, a zombie not counted."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
