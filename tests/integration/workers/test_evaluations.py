"""An evaluation with the real processes and no client: it goes on, whoever is killed."""

import os
from pathlib import Path

import psycopg
import pytest

from tests.support.fake_servers.model_server import ModelServer
from tests.support.processes.started import process
from tests.support.samples.tickets import TICKETS
from tests.support.scenes.evaluations import begun, given
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import create_account
from tierline.services.evidence.evaluation.evaluations import evaluation_of
from tierline.services.evidence.labels.datasets import build
from tierline.services.features.apply_feature import apply_feature

ANSWERING = "slm,slm-backfill,deeper-analysis,deeper-analysis-backfill"


@pytest.mark.usefixtures("environment")
def test_it_goes_on_by_itself_and_a_killed_worker_of_maintenance_loses_nothing(
    database_url: str, tmp_path: Path
) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as db,
        ModelServer(lambda _: "billing") as models,
    ):
        create_account(db, "acme")
        apply_feature(db, TICKETS)
        build(db, "tickets", given(150), jobs=False)
        environment = {**os.environ, "OPENAI_BASE_URL": models.url, "OPENAI_API_KEY": "test"}
        worker = ("-m", "workers", "--queues")
        with (
            process(["-m", "workers.dispatcher"], environment),
            process([*worker, ANSWERING, "--name", "answering"], environment),
        ):
            made = begun(db)
            id = int(str(made.id))

            def asked() -> int:
                progress = evaluation_of(db, "tickets", id).progress
                return 10**6 if progress is None else progress.asked

            with process([*worker, "maintenance", "--name", "first"], environment) as first:
                wait_until(lambda: asked() > 0, DEADLINE_S, "the first examples to be asked")
                first.kill()
                first.wait(DEADLINE_S)
            assert evaluation_of(db, "tickets", id).status == "running"
            with process([*worker, "maintenance", "--name", "second"], environment):
                wait_until(
                    lambda: evaluation_of(db, "tickets", id).status != "running",
                    90,
                    "the evaluation to end",
                )
        evaluation = evaluation_of(db, "tickets", id)
    assert evaluation.status == "completed"
    assert evaluation.result["examples"] == evaluation.planned
    answered = [(call.model, call.last_message) for call in models.calls]
    assert len(answered) == len(set(answered)) == 2 * evaluation.planned
