"""What becomes of a caller that waits: the job goes on, whoever leaves."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import openai
import psycopg
import pytest

from api.openai import waiting
from tests.support.api.served import Api, serving
from tests.support.database.rows import add_feature, two_tiers
from tests.support.processes.played_worker import played
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import create_key, revoke_key

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def feature(api: Api, rows: Connection) -> str:
    add_feature(rows, two_tiers("waited"))
    return "waited"


def jobs(rows: Connection, feature: str) -> list[tuple[str, str]]:
    return rows.execute(
        "SELECT j.id::text, j.status FROM jobs j JOIN feature_versions v"
        " ON v.id = j.feature_version_id WHERE v.name = %s ORDER BY j.seq",
        (feature,),
    ).fetchall()


def in_background(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(act())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_a_caller_that_hangs_up_leaves_its_job(
    api: Api, key: str, rows: Connection, feature: str
) -> None:
    before = len(jobs(rows, feature))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{api.url}/openai/v1/responses",
            headers={"Authorization": f"Bearer {key}"},
            json={"model": feature, "input": "x"},
            timeout=1.0,
        )
    assert [status for _, status in jobs(rows, feature)[before:]] == ["queued"]


def test_a_job_that_takes_too_long_is_told_with_the_way_to_its_response(
    client: openai.OpenAI, feature: str, rows: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_WAIT_S", 0.2)
    with pytest.raises(openai.InternalServerError, match="retrieve the response resp_") as late:
        client.responses.create(model=feature, input="x")
    assert (late.value.status_code, late.value.code) == (504, "too-slow")
    assert late.value.response.headers["x-should-retry"] == "false"
    assert jobs(rows, feature)[-1][1] == "queued"


def test_a_key_that_is_revoked_meanwhile_gets_no_answer(
    api: Api, rows: Connection, database_url: str, feature: str
) -> None:
    made = create_key(rows, "default", ("submit", "read"))
    before = len(jobs(rows, feature))
    with openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=made.key, max_retries=0) as client:
        thread, results = in_background(
            lambda: client.responses.create(model=feature, input="secret")
        )
        wait_until(lambda: len(jobs(rows, feature)) > before, DEADLINE_S, "the job")
        revoke_key(rows, made.row["id"])
        wait_until(
            lambda: (
                httpx.get(
                    f"{api.url}/v1/models", headers={"Authorization": f"Bearer {made.key}"}
                ).status_code
                == 401
            ),
            DEADLINE_S,
            "the end of the key",
        )
        with played(database_url, feature):
            thread.join(DEADLINE_S)
    (error,) = results
    assert isinstance(error, openai.AuthenticationError)
    assert "secret" not in str(error)


def test_an_api_that_stops_lets_its_callers_go_and_another_has_the_response(
    environment: None, api: Api, key: str, rows: Connection, feature: str
) -> None:
    before = len(jobs(rows, feature))
    with serving() as url:
        client = openai.OpenAI(base_url=f"{url}/openai/v1", api_key=key, max_retries=0)
        thread, results = in_background(
            lambda: client.responses.create(
                model=feature, input="x", extra_headers={"Idempotency-Key": "kept"}
            )
        )
        wait_until(lambda: len(jobs(rows, feature)) > before, DEADLINE_S, "the job")
    thread.join(DEADLINE_S)
    (error,) = results
    assert isinstance(error, openai.InternalServerError | openai.APIConnectionError)
    with openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=key) as other:
        again = other.responses.create(
            model=feature,
            input="x",
            background=True,
            extra_headers={"Idempotency-Key": "kept"},
        )
    assert again.status == "queued"
    assert len(jobs(rows, feature)) == before + 1
    client.close()
