"""The programs in examples/python and examples/node do what they say.

Django and Airflow are not among the tools: those two are compiled, and what they import of the
client is there. `test_framework_examples` runs them.
"""

import ast
import importlib
import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from standardwebhooks.webhooks import Webhook

import tierline_client
from tests.support.api.served import Api
from tests.support.database.rows import add_feature
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key
from tierline.webhooks.events import JobFacts, job_body

EXAMPLES = Path(__file__).parents[3] / "examples"
SECRET = "whsec_c2VjcmV0LW9mLTI0LWJ5dGVzLWhlcmU="


def invoice(input: Any) -> tuple[str, Any]:
    match = re.search(r"(A-\d+), ([\d.]+) (\w+)", input["text"])
    assert match
    number, total, currency = match.groups()
    return "completed", {"invoice_number": number, "total": float(total), "currency": currency}


@pytest.fixture
def worker(
    api: Api, rows: psycopg.Connection[Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if rows.execute("SELECT FROM features WHERE name = 'invoice-fields'").fetchone() is None:
        source = (EXAMPLES / "features" / "invoice-fields.yaml").read_text()
        add_feature(rows, parse_feature(source))
    monkeypatch.setenv("TIERLINE_URL", api.url)
    monkeypatch.setenv("TIERLINE_API_KEY", create_key(rows, "default", ("submit", "read")).key)
    monkeypatch.setenv("TIERLINE_WEBHOOK_SECRET", SECRET)
    with played(database_url, "invoice-fields", invoice):
        yield


def hook_of(job: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """The webhook that tierline sends when the job is completed."""
    facts = {name: job.get(name) for name in JobFacts.__dataclass_fields__}
    times = {name: datetime.fromisoformat(job[name]) for name in ("created_at", "completed_at")}
    at = datetime.now(UTC)
    body = job_body("job.completed", at, JobFacts(**{**facts, **times}), frozenset())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", at, body.decode()),
    }, body


def test_the_fastapi_app_hears_of_its_jobs(api: Api, worker: None) -> None:
    app = importlib.import_module("examples.python.fastapi_app")
    with TestClient(app.app) as client:
        sent = {"id": "7", "text": "Invoice A-7, 3.50 EUR"}
        job = client.post("/invoices", json=sent).json()["job"]
        assert client.post("/invoices", json=sent).json()["job"] == job
        assert client.get("/invoices/7").status_code == 404
        done = api.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=20"}).json()
        headers, body = hook_of(done)
        wrong = client.post("/hooks/tierline", content=body + b" ", headers=headers)
        assert wrong.status_code == 400
        assert client.post("/hooks/tierline", content=body, headers=headers).status_code == 204
        assert client.get("/invoices/7").json()["invoice_number"] == "A-7"


def test_the_notebook_runs(worker: None, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "python" / "notebook.py"))
    output = capsys.readouterr().out
    assert "20 rows, 210.00 EUR" in output
    assert "invoice_number='A-17'" in output


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed here")
def test_the_node_program_follows_its_job(worker: None) -> None:
    ran = subprocess.run(
        ["node", "job.mjs", "Invoice A-17, 12.50 EUR"],
        cwd=EXAMPLES / "node",
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    *events, output = ran.stdout.splitlines()
    assert events[0].split()[:2] == ["job.queued", "slm"]
    assert events[-1].startswith("job.completed")
    assert json.loads(output)["total"] == 12.5


@pytest.mark.parametrize("name", ["django_view", "airflow_dag"])
def test_a_program_for_a_framework_uses_what_the_client_has(name: str) -> None:
    tree = ast.parse((EXAMPLES / "python" / f"{name}.py").read_text())
    taken = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "tierline_client"
        for alias in node.names
    ]
    assert taken
    assert all(hasattr(tierline_client, one) for one in taken)
