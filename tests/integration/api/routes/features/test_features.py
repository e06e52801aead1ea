"""Applying and reading features over HTTP."""

from typing import Any

import pytest
from psycopg import Connection

from tests.support.api.served import Api
from tierline.storage.calls import circuits

YAML = {"Content-Type": "application/yaml"}
FILE = """feature: greeting
description: A greeting.
instructions: Greet.
input: {type: object, required: [name], properties: {name: {type: string}}}
output: {type: string}
tiers:
  - {name: slm, models: ["openai:small"]}
  - {name: frontier, models: ["openai:large"]}
"""


def test_a_feature_is_applied_once_and_changed_by_another_document(api: Api) -> None:
    first = api.post("/v1/features", content=FILE, headers=YAML)
    assert (first.status_code, first.json()["version"], first.json()["changed"]) == (201, 1, True)
    same = api.post("/v1/features", content="# a remark\n" + FILE, headers=YAML)
    assert (same.status_code, same.json()["version"], same.json()["changed"]) == (200, 1, False)
    other = api.post("/v1/features", content=FILE.replace("Greet.", "Greet well."), headers=YAML)
    assert (other.status_code, other.json()["version"]) == (201, 2)
    assert api.get("/v1/features/greeting").json()["version"] == 2
    old = api.get("/v1/features/greeting", params={"version": 1}).json()
    assert old["source"] == FILE
    assert old["document"]["instructions"] == "Greet."


def test_a_dry_run_changes_nothing(api: Api) -> None:
    text = FILE.replace("greeting", "farewell")
    dry = api.post("/v1/features", content=text, headers=YAML, params={"dry_run": "true"})
    assert (dry.status_code, dry.json()["version"], dry.json()["changed"]) == (200, None, True)
    assert api.get("/v1/features/farewell").status_code == 404


def test_a_missing_key_and_price_are_warnings(api: Api) -> None:
    text = FILE.replace("greeting", "unpriced")
    warnings = api.post("/v1/features", content=text, headers=YAML).json()["warnings"]
    assert any("openai:large" in line and "price" in line for line in warnings)
    assert any("OPENAI_API_KEY" in line for line in warnings)


def test_a_feature_may_be_json(api: Api) -> None:
    response = api.post(
        "/v1/features",
        json={
            "feature": "as-json",
            "instructions": "x",
            "input": {},
            "output": {"type": "string"},
            "tiers": [{"name": "slm", "models": ["local:m"]}],
        },
    )
    assert response.status_code == 201


def test_every_problem_of_a_file_is_told_with_its_line(api: Api) -> None:
    text = FILE.replace("description", "descripton") + "rooting: slm_first\n"
    response = api.post("/v1/features", content=text, headers=YAML)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:tierline:problem:invalid-feature"
    assert [error["line"] for error in response.json()["errors"]] == [2, 9]


@pytest.mark.parametrize(
    ("body", "sent", "status"),
    [
        (b"feature: \xff", "application/yaml", 400),
        (b"feature: x", "text/html", 415),
        (b"", "application/yaml", 422),
        (b"[", "application/json", 422),
        (b"#" * 1_100_000, "application/yaml", 413),
    ],
)
def test_an_unfit_body_is_a_problem(api: Api, body: bytes, sent: str, status: int) -> None:
    response = api.post("/v1/features", content=body, headers={"Content-Type": sent})
    assert response.status_code == status


def test_features_are_everybodys_to_read_and_an_admins_to_apply(api: Api, other: Api) -> None:
    names = [feature["name"] for feature in other.get("/v1/features").json()["data"]]
    assert "echo" in names
    assert other.post("/v1/features", content=FILE, headers=YAML).status_code == 403


def test_models_tell_who_uses_them_and_what_they_lack(api: Api) -> None:
    models = {item["model"]: item for item in api.get("/v1/models").json()["data"]}
    assert "echo" in models["openai:small"]["features"]
    assert models["openai:small"]["configured"] is False
    assert models["openai:small"]["price"] is None


@pytest.mark.parametrize("path", ["none", "echo?version=9", "%00", "x" * 300])
def test_an_unknown_feature_is_404(api: Api, path: str) -> None:
    assert api.get(f"/v1/features/{path}").status_code == 404


def test_applying_a_shorter_retention_says_what_it_removes(api: Api) -> None:
    form = (
        "feature: forgetful\ninstructions: a\ninput: {}\noutput: {type: string}\n"
        "tiers: [{name: slm, models: ['local:m']}]\n"
    )

    def warnings(retention: str) -> list[str]:
        applied = api.post(
            "/v1/features",
            content=f"{form}{retention}\n",
            headers={"Content-Type": "application/yaml"},
        )
        return [warning for warning in applied.json()["warnings"] if "retention" in warning]

    assert warnings("") == []
    (warning,) = warnings("retention: {outputs_days: 30}")
    assert "outputs of jobs that ended more than 30 days ago" in warning
    assert warnings("retention: {outputs_days: 60}") == []
    assert len(warnings("retention: {inputs_days: 7, outputs_days: 7}")) == 2


def test_a_model_whose_circuit_is_open_is_shown_so(api: Api, rows: Connection[Any]) -> None:
    circuits.open_circuit(rows, "openai:small", "KEY", "the key is not taken", 60)
    try:
        models = {item["model"]: item for item in api.get("/v1/models").json()["data"]}
    finally:
        rows.execute("DELETE FROM circuits")
    assert models["openai:small"]["circuit_open"] == "the key is not taken"
    assert models["openai:small"]["left_alone"] == "the key is not taken"
