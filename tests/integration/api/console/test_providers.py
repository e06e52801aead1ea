"""Providers and the circuits of their models."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tierline.storage.calls import circuits

Connection = psycopg.Connection[Any]
MODEL = "openai:small"


@pytest.fixture
def refused(rows: Connection) -> None:
    """The provider refuses the key of MODEL, and the next probe is far away."""
    rows.execute("DELETE FROM circuits")
    circuits.open_circuit(rows, MODEL, "KEY", "401: the key was refused", 3_000)


def probe_in_s(rows: Connection) -> float:
    (circuit,) = circuits.every(rows)
    assert circuit.probe_in_s is not None
    return circuit.probe_in_s


def test_a_held_model_stands_on_top_with_why_since_when_and_what_to_do(
    signed_in: SignIn, api: Api, refused: None
) -> None:
    text = text_of(signed_in("read").get("/console/providers"))
    assert f"{MODEL} ✕ held" in text
    assert "key : 401: the key was refused" in text
    assert "Set a valid one where the workers run" in text
    assert "Held since" in text
    assert "Next probe in 50 min" in text


def test_an_operator_lets_a_probe_go_out_now_and_it_is_logged(
    signed_in: SignIn, api: Api, rows: Connection, refused: None
) -> None:
    browser = signed_in("operator")
    answer = browser.post("/console/providers/probe", {"model": MODEL})
    assert answer.headers["location"] == "/console/providers"
    assert probe_in_s(rows) <= 0
    assert "Next probe with the next job" in text_of(browser.get("/console/providers"))
    logged = rows.execute("SELECT action, detail FROM audit_log ORDER BY id DESC LIMIT 1")
    assert logged.fetchone() == ("circuit.probe_asked", {"model": MODEL})


def test_probes_that_several_ask_for_at_once_are_one(
    api: Api, rows: Connection, refused: None
) -> None:
    rows.execute("DELETE FROM audit_log")
    with ThreadPoolExecutor(4) as crowd:
        answers = list(
            crowd.map(lambda _: api.post("/v1/circuits/probe", json={"model": MODEL}), range(4))
        )
    assert [one.status_code for one in answers] == [200] * 4
    assert {(one.json()["model"], one.json()["probe_in_s"]) for one in answers} == {(MODEL, 0)}
    assert probe_in_s(rows) <= 0
    logged = rows.execute("SELECT action, detail FROM audit_log").fetchall()
    assert logged == [("circuit.probe_asked", {"model": MODEL})]
    assert api.post("/v1/circuits/probe", json={"model": "openai:nothing"}).status_code == 404


@pytest.mark.parametrize(
    ("model", "status"), [("openai:nothing", 404), ("x\x00", 404), ("", 404), ("openai:large", 409)]
)
def test_a_model_that_is_not_held_is_not_probed(
    signed_in: SignIn, rows: Connection, refused: None, model: str, status: int
) -> None:
    circuits.pause(rows, "openai:large", 60)
    answer = signed_in("operator").post("/console/providers/probe", {"model": model})
    assert answer.status_code == status


def test_hosts_are_shown_to_operators_and_keys_to_nobody(
    signed_in: SignIn, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scopes, seen in (("operator",), True), (("read",), False):
        page = signed_in(*scopes).get("/console/providers")
        assert ("api.anthropic.com" in page.text) is seen
        assert "A key is never shown." in text_of(page)
