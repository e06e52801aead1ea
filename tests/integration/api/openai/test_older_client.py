"""OpenAI's client of a year ago, in an environment of its own: `make clients` installs it."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_batch_reader import reading_batches
from tests.support.processes.played_worker import played

PROGRAM = Path(__file__).with_name("older_client.py")
OLDER = Path(sys.prefix) / "clients" / "bin" / "python"


@pytest.mark.nightly
@pytest.mark.skipif(not OLDER.exists(), reason="`make clients` installs the older client")
def test_an_older_client_works_unchanged(
    api: Api, key: str, rows: psycopg.Connection[tuple[object, ...]], database_url: str
) -> None:
    add_feature(rows, two_tiers("older"))
    more = {"OPENAI_BASE_URL": f"{api.url}/openai/v1", "OPENAI_API_KEY": key}
    with reading_batches(database_url), played(database_url, "older"):
        done = subprocess.run(
            [OLDER, PROGRAM, "older"],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith("2.8.")
