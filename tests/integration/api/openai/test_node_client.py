"""OpenAI's client for Node, the newest and one of a year before, installed by npm for this test."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.npm import install, needs_npm, run
from tests.support.processes.played_batch_reader import reading_batches
from tests.support.processes.played_worker import played
from tests.support.samples.job_rows import AT, JOB_ID
from tierline.base.ids import new_id
from tierline.webhooks.events import JobFacts, job_body
from tierline.webhooks.openai_form import openai_body
from tierline.webhooks.sign import new_secret, signed_headers

PROGRAM = Path(__file__).with_name("node_client.mjs")
VERSIONS = ("7.59.0", "6.9.1")


def webhook() -> dict[str, str]:
    """A signed webhook in OpenAI's form, as environment variables of the program."""
    secret, at = new_secret(), datetime.now(UTC)
    none: dict[str, Any] = dict.fromkeys(JobFacts.__dataclass_fields__)
    facts = {**none, "id": JOB_ID, "feature": "echo", "created_at": AT, "completed_at": AT}
    ours = job_body("job.completed", at, JobFacts(**facts), frozenset())
    body = openai_body(ours, new_id(), int(at.timestamp()), job_id=JOB_ID, incomplete=False)
    return {
        "WEBHOOK_SECRET": secret,
        "WEBHOOK_BODY": body.decode(),
        "WEBHOOK_HEADERS": json.dumps(dict(signed_headers("msg_1", body, at, secret))),
    }


@pytest.mark.nightly
@needs_npm
@pytest.mark.parametrize("version", VERSIONS)
def test_the_client_for_node_works_unchanged(
    version: str,
    api: Api,
    key: str,
    rows: psycopg.Connection[tuple[object, ...]],
    database_url: str,
    tmp_path: Path,
) -> None:
    install(tmp_path, f"openai@{version}")
    shutil.copy(PROGRAM, tmp_path)
    feature = f"node-{version.replace('.', '-')}"
    add_feature(rows, two_tiers(feature))
    more = {"OPENAI_BASE_URL": f"{api.url}/openai/v1", "OPENAI_API_KEY": key, **webhook()}
    with reading_batches(database_url), played(database_url, feature):
        assert run(("node", PROGRAM.name, feature), tmp_path, more) == version
