"""Trainings over REST: started, followed and cancelled; and done by a real trainer."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, add_operation
from tests.support.processes.started import ROOT
from tests.support.processes.up import environment as clean_environment
from tests.support.samples.tickets import KINDS, TICKETS, answered
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.features.parse import parse_feature

Connection = psycopg.Connection[Any]
StartTrainer = Callable[..., None]

PLACE = "/v1/features/tickets/trainings"
MICRO = {"kind": "micro_model", "max_error": 0.1}


@pytest.fixture(scope="module", autouse=True)
def tickets(api: Api, rows: Connection, database_url: str) -> None:
    """The feature, with jobs that its last tier answered."""
    feature = parse_feature(TICKETS)
    add_feature(rows, feature)
    answered(database_url, 60)
    add_feature(rows, feature, version=2)


@pytest.fixture(autouse=True)
def none_open(rows: Connection) -> None:
    rows.execute("DELETE FROM operations")


@pytest.fixture
def start_trainer(database_url: str, tmp_path: Path) -> Iterator[StartTrainer]:
    running: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> None:
        env = clean_environment({"DATABASE_URL": database_url, "TIERLINE_BEAT_S": "0.2"} | settings)
        with (tmp_path / "trainer.log").open("w") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "workers.trainer"],
                    **{"env": env, "cwd": ROOT, "stdout": log, "stderr": log},
                )
            )

    yield start
    for trainer in running:
        trainer.terminate()
        trainer.wait(DEADLINE_S)


def ended(api: Api, id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        training = api.get(f"{PLACE}/{id}").json()
        return None if training["status"] in ("queued", "in_progress") else training

    return wait_until(look, DEADLINE_S, f"training {id} to end", every_s=0.1)  # type: ignore[return-value]


def test_a_training_is_started_once_and_can_be_followed(api: Api) -> None:
    made = api.post(PLACE, json=MICRO)
    assert made.status_code == 202
    training = made.json()
    assert made.headers["Location"] == f"{PLACE}/{training['id']}"
    assert int(made.headers["Retry-After"]) >= 1
    assert training["status"] == "queued"
    assert training["options"] == {
        **{"dataset": None, "max_error": 0.1, "confidence": 0.95, "strangers": 0.05},
        **{"split": "near_duplicates", "dry_run": False},
    }
    assert api.post(PLACE, json=MICRO).json()["id"] == training["id"]
    other = api.post(PLACE, json={**MICRO, "max_error": 0.2})
    assert other.status_code == 409
    assert f"training {training['id']} of tickets is queued" in other.json()["detail"]
    assert api.get(f"{PLACE}/{training['id']}").json() == training
    assert api.get(PLACE).json()["data"] == [training]


def test_a_queued_training_is_cancelled_at_once_and_one_in_progress_soon(
    api: Api, rows: Connection
) -> None:
    queued = api.post(PLACE, json=MICRO).json()
    answer = api.post(f"{PLACE}/{queued['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    under_way = add_operation(rows, "tickets", "router", "in_progress")
    answer = api.post(f"{PLACE}/{under_way}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "in_progress")
    assert answer.json()["cancel_requested"] is True


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"kind": "router", "strangers": 0.1}, 422, "/strangers"),
        ({"kind": "micro_model", "embeddings": False}, 422, "/embeddings"),
        ({"kind": "micro_model", "max_error": 2.0}, 422, "less than 1"),
        ({"kind": "judge"}, 422, "micro_model"),
        ({"strangers": 0.1}, 422, "kind"),
        ({"kind": "router"}, 409, "does not route by complexity"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    api: Api, body: dict[str, Any], status: int, words: str
) -> None:
    refused = api.post(PLACE, json=body)
    assert refused.status_code == status
    assert words in refused.text


def test_a_trainer_trains_and_tests_the_promise_on_the_servers_rows(
    api: Api, start_trainer: StartTrainer
) -> None:
    id = api.post(PLACE, json=MICRO).json()["id"]
    start_trainer()
    training = ended(api, id)
    assert training["error"] is None
    assert (training["status"], training["progress"]["phase"]) == ("completed", "testing")
    made = training["result"]["micro_model"]
    assert made["trained_by"] == "server"
    assert made["calibration"]["state"] == "in_force"
    assert {one["label"] for one in made["calibration"]["by_label"]} == set(KINDS)
    assert api.get("/v1/features/tickets/micro-models").json()["data"][0]["id"] == made["id"]


def test_a_training_that_needs_too_much_memory_fails_with_the_reason(
    api: Api, start_trainer: StartTrainer
) -> None:
    id = api.post(PLACE, json=MICRO).json()["id"]
    start_trainer(TIERLINE_TRAINING_MEMORY_MB="256")
    error = ended(api, id)["error"]
    assert error["code"] == "out_of_memory"
    assert "TIERLINE_TRAINING_MEMORY_MB=256" in error["message"]
