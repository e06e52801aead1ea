"""Uploading what a client trained: deprecated, marked, and without a promise."""

from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, micro_first, two_tiers
from tierline.features.parse import parse_feature

Connection = psycopg.Connection[Any]

ROUTER = {
    **{"rows": 100, "right_rows": 80, "data_sha256": "0" * 64, "quality": {}},
    "document": {"intercept": 1.0, "terms": {}},
}


@pytest.fixture(scope="module", autouse=True)
def features(api: Api, rows: Connection) -> None:
    add_feature(rows, micro_first("kinds"))
    routed = two_tiers("routed").to_dict() | {"complexity": {"max_risk": 0.5}}
    add_feature(rows, parse_feature(str(routed)))


def test_an_uploaded_router_is_marked_and_the_route_says_that_it_goes(api: Api) -> None:
    made = api.post("/v1/features/routed/routers", json=ROUTER)
    assert made.status_code == 201
    assert made.json()["trained_by"] == "client"
    assert made.headers["Deprecation"].startswith("@")
    assert "2027" in made.headers["Sunset"]
    successor = '</v1/features/routed/trainings>; rel="successor-version"'
    assert made.headers["Link"] == successor
    (listed,) = api.get("/v1/features/routed/routers").json()["data"]
    assert listed["trained_by"] == "client"


def test_a_promise_on_scores_of_a_client_is_refused(api: Api, rows: Connection) -> None:
    promise = {"max_error": 0.03, "planned": [], "held_out": [{"score": 1.0, "wrong": False}]}
    body = {**ROUTER, "vectors": "UEsDBA==", "promise": promise}
    refused = api.post("/v1/features/kinds/micro-models", json=body)
    assert refused.status_code == 409
    assert "POST /v1/features/kinds/trainings" in refused.json()["detail"]
    assert rows.execute("SELECT count(*) FROM micro_models").fetchone() == (0,)
    assert rows.execute("SELECT count(*) FROM calibrations").fetchone() == (0,)
