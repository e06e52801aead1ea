"""Files and fine-tuning jobs as OpenAI's own client asks for them."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.support.fake_servers.tuning_server import KEY, TuningServer, job_object
from tierline.tuning.openai import Tuning

BASE = "gpt-4.1-nano-2025-04-14"


@pytest.fixture
def server() -> Iterator[TuningServer]:
    with TuningServer() as made:
        yield made


def test_the_recorded_job_is_one_by_the_clients_own_types() -> None:
    FineTuningJob.model_validate(job_object(), strict=True)


def test_the_same_is_sent_and_read(server: TuningServer, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"messages": []}\n')
    server.job = job_object(status="succeeded", fine_tuned_model="ft:x", trained_tokens=1_200)
    theirs = openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0)
    with path.open("rb") as source:
        first = theirs.files.create(file=source, purpose="fine-tune")
    asked = theirs.fine_tuning.jobs.create(
        model=BASE,
        training_file=first.id,
        validation_file="file-2",
        suffix="kinds",
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
    )
    theirs.fine_tuning.jobs.retrieve(asked.id)
    before, server.requests = server.requests, []
    with Tuning(server.url, KEY) as ours:
        assert ours.upload(path) == first.id
        made = ours.start(BASE, first.id, "file-2", 3, "kinds")
        found = ours.job(made.id)
    assert server.requests == before
    assert (found.status, found.model, found.trained_tokens) == ("succeeded", "ft:x", 1_200)
