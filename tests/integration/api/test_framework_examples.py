"""The programs of examples/python for frameworks, with the real Django and Airflow's SDK.

`make clients` installs these, in an environment of their own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "tests" / "support" / "programs"
PYTHON = Path(sys.prefix) / "frameworks" / "bin" / "python"

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not PYTHON.exists(), reason="`make clients` installs Django and Airflow"),
]


@pytest.fixture
def variables(api: Api, rows: psycopg.Connection[Any], tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "client"),
        "TIERLINE_URL": api.url,
        "TIERLINE_API_KEY": create_key(rows, "default", ("submit", "read")).key,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
    }


@pytest.fixture
def ended(
    api: Api, rows: psycopg.Connection[Any], database_url: str, request: pytest.FixtureRequest
) -> Iterator[list[str]]:
    """The jobs of the feature that the test names, which are answered."""
    name, output = request.param
    source = (ROOT / "examples" / "features" / f"{name}.yaml").read_text()
    add_feature(rows, parse_feature(source))
    with played(database_url, name, lambda _: ("completed", output)) as jobs:
        yield jobs


def ran(program: str, variables: dict[str, str], *arguments: str) -> list[str]:
    """The last lines that the program printed, which frameworks' own messages stand before."""
    done = subprocess.run(
        [PYTHON, PROGRAMS / program, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [line for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("ended", [("ticket-triage", {"category": "shipping"})], indirect=True)
def test_the_django_views_submit_once_and_show_the_answer(
    ended: list[str], variables: dict[str, str]
) -> None:
    (shown,) = ran("django_views.py", variables)
    assert json.loads(shown) == {
        **{"status": "completed", "label": None, "output": {"category": "shipping"}},
    }
    assert len(ended) == 1


@pytest.mark.parametrize("ended", [("ticket-summary", "The parcel is late.")], indirect=True)
def test_the_airflow_task_that_is_retried_runs_no_ticket_twice(
    ended: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    for folder in ("tickets", "summaries"):
        (tmp_path / folder).mkdir()
    tickets = [{"text": f"Parcel {n} is late."} for n in range(3)]
    lines = "".join(json.dumps(one) + "\n" for one in tickets)
    (tmp_path / "tickets" / "2026-11-30.jsonl").write_text(lines)
    written = ran("airflow_task.py", variables, str(tmp_path), "2026-11-30")
    assert [json.loads(line)["summary"] for line in written] == ["The parcel is late."] * 3
    assert len(ended) == 3
