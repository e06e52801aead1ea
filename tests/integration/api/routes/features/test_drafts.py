"""Trying a feature file over HTTP: a version that nobody's jobs get but its own."""

import psycopg
import pytest

from tests.support.api.served import Api

YAML = {"Content-Type": "application/yaml"}
FILE = """feature: tried
instructions: Greet.
input: {type: object, required: [name], properties: {name: {type: string}}}
output: {type: string}
confidence: {signal: agreement, samples: 2, threshold: 1.0}
tiers:
  - {name: slm, models: ["openai:small"]}
  - {name: frontier, models: ["openai:large"]}
"""
INPUT = {"input": {"name": "Ada"}}


def draft(api: Api, text: str = FILE, tier: str | None = None) -> dict[str, object]:
    response = api.post(
        "/v1/drafts", content=text, headers=YAML, params={} if tier is None else {"tier": tier}
    )
    assert response.status_code == 201, response.text
    created: dict[str, object] = response.json()
    return created


def test_a_draft_is_no_feature_until_it_is_applied(api: Api) -> None:
    kept = draft(api)
    assert kept["version"] == -1
    assert api.get("/v1/features/tried").status_code == 404
    refused = api.post("/v1/jobs", json={"feature": "tried", **INPUT})
    assert refused.status_code == 422
    applied = api.post("/v1/features", content=FILE, headers=YAML).json()
    assert (applied["version"], applied["changed"]) == (1, True)
    draft(api, FILE.replace("Greet.", "Greet warmly."))
    assert api.get("/v1/features/tried").json()["version"] == 1
    assert api.get("/v1/features/tried", params={"version": -1}).status_code == 422


def test_the_same_file_is_the_same_draft_and_another_is_another(api: Api) -> None:
    text = FILE.replace("tried", "tried-twice")
    first, again = draft(api, text), draft(api, f"# a remark\n{text}")
    other = draft(api, text.replace("Greet.", "Greet well."))
    assert first["id"] == again["id"]
    assert [first["version"], other["version"]] == [-1, -2]


def test_a_draft_of_one_tier_has_it_alone(api: Api) -> None:
    kept = draft(api, tier="frontier")
    assert kept["tiers"] == [{"name": "frontier", "models": ["openai:large"]}]
    job = api.post(f"/v1/drafts/{kept['id']}/jobs", json=INPUT).json()
    assert job["tier"] == "frontier"
    wrong = api.post("/v1/drafts", content=FILE, headers=YAML, params={"tier": "none"})
    assert wrong.status_code == 422
    assert "its tiers are slm, frontier" in wrong.json()["errors"][0]["message"]


def test_a_drafts_job_is_the_keys_accounts_and_runs_that_version(api: Api, other: Api) -> None:
    kept = draft(api)
    response = api.post(f"/v1/drafts/{kept['id']}/jobs", json=INPUT)
    assert response.status_code == 202
    job = response.json()
    assert (job["feature"], job["feature_version"], job["status"]) == ("tried", -1, "queued")
    assert api.get(f"/v1/jobs/{job['id']}").status_code == 200
    assert other.get(f"/v1/jobs/{job['id']}").status_code == 404


def test_a_drafts_job_is_not_run_again_as_another_version(api: Api) -> None:
    kept = draft(api)
    job = api.post(f"/v1/drafts/{kept['id']}/jobs", json=INPUT).json()
    assert api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 200
    refused = api.post(f"/v1/jobs/{job['id']}/retry")
    assert refused.status_code == 409
    assert "tierline features test FILE" in refused.json()["detail"]


def test_a_drafts_job_tells_no_endpoint(api: Api, rows: psycopg.Connection[tuple[object]]) -> None:
    made = api.post("/v1/webhook-endpoints", json={"url": "https://hooks.example.com/drafts"})
    kept = draft(api)
    job = api.post(f"/v1/drafts/{kept['id']}/jobs", json=INPUT).json()
    api.post(f"/v1/jobs/{job['id']}/cancel")
    deliveries = rows.execute("SELECT count(*) FROM deliveries WHERE job_id = %s", (job["id"],))
    assert deliveries.fetchone() == (0,)
    api.send("DELETE", f"/v1/webhook-endpoints/{made.json()['id']}")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("0", INPUT, 404),
        ("x", INPUT, 404),
        ("9" * 30, INPUT, 404),
        ("{id}", {"input": {"nome": "Ada"}}, 422),
        ("{id}", {"input": {"name": "Ada"}, "metadata": {}}, 422),
        ("{id}", {}, 422),
    ],
)
def test_what_cannot_be_tried_is_a_problem(
    api: Api, path: str, body: dict[str, object], status: int
) -> None:
    path = path.format(id=draft(api)["id"])
    assert api.post(f"/v1/drafts/{path}/jobs", json=body).status_code == status


def test_an_applied_version_is_no_draft(api: Api, rows: psycopg.Connection[tuple[object]]) -> None:
    row = rows.execute("SELECT version_id FROM features WHERE name = 'echo'").fetchone()
    assert row is not None
    assert api.post(f"/v1/drafts/{row[0]}/jobs", json={"input": {"text": "x"}}).status_code == 404


def test_a_wrong_file_is_told_with_its_lines(api: Api) -> None:
    response = api.post(
        "/v1/drafts", content=FILE.replace("instructions", "instruction"), headers=YAML
    )
    assert response.status_code == 422
    assert 2 in [error["line"] for error in response.json()["errors"]]
