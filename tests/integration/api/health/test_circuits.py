"""An open circuit is shown wherever somebody would look."""

from typing import Any

import psycopg

from tests.support.api.served import Api
from tests.support.waiting import wait_until
from tierline.storage.calls import circuits


def test_an_open_circuit_is_told_in_readyz_metrics_and_by_its_own_route(
    api: Api, rows: psycopg.Connection[Any]
) -> None:
    circuits.open_circuit(rows, "openai:gone", "KEY", "the server refused the key (HTTP 401)", 30.0)
    circuits.pause(rows, "openai:busy", 30.0)
    degraded = wait_until(
        lambda: api.get("/readyz").json()["degraded"].get("circuit:openai:gone"),
        10,
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
