"""/v1/feedback/queue and label-progress: which answers await a label."""

from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job, two_tiers

Connection = psycopg.Connection[Any]
FEATURE = "labelled"


@pytest.fixture(scope="module")
def asked(api: Api, rows: Connection) -> list[str]:
    """Three ended jobs that people were asked to label."""
    add_feature(rows, two_tiers(FEATURE))
    jobs = [str(api.submit(f"text {number}", feature=FEATURE)["id"]) for number in range(3)]
    for job in jobs:
        end_job(rows, job)
    drawn = api.post(f"/v1/features/{FEATURE}/label-sample", json={"count": 3, "second_share": 1.0})
    assert {one["job_id"] for one in drawn.json()["data"]} == set(jobs)
    return jobs


def queue(api: Api, **query: Any) -> Any:
    answer = api.get("/v1/feedback/queue", params={"feature": FEATURE, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_queue_lists_what_has_no_label_and_feedback_takes_it_out(
    api: Api, other: Api, asked: list[str]
) -> None:
    before = queue(api)["data"]
    assert {one["job_id"] for one in before} == set(asked)
    assert sum(one["second"] for one in before) == 3
    assert {one["source"] for one in before} == {"sample"}
    assert queue(other)["data"] == []

    assert api.post(f"/v1/jobs/{asked[0]}/feedback", json={"correct": True}).status_code == 201
    left = [one for one in queue(api)["data"] if one["job_id"] == asked[0]]
    assert [one["second"] for one in left] == [True], "the second label is another person's"
    item = {"job_id": asked[0], "correct": True}
    assert api.post("/v1/feedback", json={"items": [item]}).status_code == 200
    assert [one for one in queue(api)["data"] if one["job_id"] == asked[0]] == left


def test_the_queue_has_pages(api: Api, asked: list[str]) -> None:
    listed, cursor = [], None
    while True:
        page = queue(api, limit=2, **({} if cursor is None else {"cursor": cursor}))
        listed += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert listed == queue(api)["data"]
    refused = api.get("/v1/feedback/queue", params={"cursor": "x"})
    assert refused.status_code == 422


def test_progress_is_told(api: Api, asked: list[str]) -> None:
    progress = api.get(f"/v1/features/{FEATURE}/label-progress").json()
    assert progress["needed_for_evaluation"] == 500
    assert progress["promise"]["asked"] == 3
    assert progress["agreement"] == {"answers": 0, "same": 0, "kappa": None}
    assert api.get("/v1/features/none/label-progress").status_code == 404
