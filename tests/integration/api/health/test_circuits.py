"""An open circuit is shown wherever somebody would look."""

from typing import Any

import psycopg

from tests.support.api.served import Api
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.storage.calls import circuits


def test_a_job_whose_models_take_no_calls_says_which_and_why(
    api: Api, rows: psycopg.Connection[Any]
) -> None:
    job = api.submit()
    assert job["waiting_for"]["kind"] == "place"
    tier = api.get(f"/v1/features/{job['feature']}").json()["tiers"][0]
    for model in tier["models"]:
        circuits.open_circuit(rows, model, "KEY", "the server refused the key (HTTP 401)", 30.0)
    waits = api.get(f"/v1/jobs/{job['id']}").json()["waiting_for"]
    assert waits["kind"] == "model"
    assert f"{tier['models'][0]}: the server refused the key (HTTP 401)" in waits["message"]
    listed = next(one for one in api.get("/v1/jobs").json()["data"] if one["id"] == job["id"])
    assert listed["waiting_for"] == waits
    rows.execute("TRUNCATE circuits")
    rows.execute(
        "UPDATE jobs SET run_after = clock_timestamp() + interval '1 hour' WHERE id = %s",
        (job["id"],),
    )
    later = api.get(f"/v1/jobs/{job['id']}").json()["waiting_for"]
    assert (later["kind"], later["message"]) == ("retry", "the next try")
    assert later["until"] is not None
    assert api.post(f"/v1/jobs/{job['id']}/cancel").json()["waiting_for"] is None


def test_an_open_circuit_is_told_in_readyz_metrics_and_by_its_own_route(
    api: Api, rows: psycopg.Connection[Any]
) -> None:
    circuits.open_circuit(rows, "openai:gone", "KEY", "the server refused the key (HTTP 401)", 30.0)
    circuits.pause(rows, "openai:busy", 30.0)
    degraded = wait_until(
        lambda: api.get("/readyz").json()["degraded"].get("circuit:openai:gone"),
        DEADLINE_S,
        "the circuit to be told",
    )
    assert degraded.endswith("the server refused the key (HTTP 401)")
    busy, gone = api.get("/v1/circuits").json()["data"]
    assert (busy["model"], busy["open"], busy["cause"]) == ("openai:busy", False, None)
    assert 0 < busy["paused_s"] <= 30
    assert (gone["open"], gone["cause"], gone["failed_probes"]) == (True, "key", 0)
    assert 0 < gone["probe_in_s"] <= 30
    metrics = api.get("/metrics").text
    assert 'tierline_circuit_open{model="openai:gone"} 1.0' in metrics
    assert 'tierline_circuit_open{model="openai:busy"} 0.0' in metrics
