"""Limits as OpenAI's client expects them: its own retries wait as long as they are asked to."""

import time
from collections.abc import Iterator
from typing import Any

import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tierline.services.accounts.accounts import create_account, create_key

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def limited(api: Api, rows: Connection) -> str:
    """A key of an account that may make one request a second, and have two jobs queued."""
    create_account(rows, "limited")
    limits = {"max_requests_per_s": 1, "max_queued_jobs": 2}
    assert api.send("PATCH", "/v1/accounts/limited", json=limits).status_code == 200
    return create_key(rows, "limited", ("submit", "read")).key


@pytest.fixture
def hasty(api: Api, limited: str) -> Iterator[openai.OpenAI]:
    """A client that does not repeat a request."""
    with openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=limited, max_retries=0) as client:
        yield client


@pytest.fixture
def patient(api: Api, limited: str) -> Iterator[openai.OpenAI]:
    """The client as it is, which repeats a request twice."""
    with openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=limited) as client:
        yield client


def refused(client: openai.OpenAI) -> openai.RateLimitError:
    """The refusal of one of many requests at once."""

    def hurry() -> None:
        for _ in range(10):
            client.models.list()

    with pytest.raises(openai.RateLimitError) as limit:
        hurry()
    return limit.value


def test_a_limit_says_when_to_come_back(hasty: openai.OpenAI) -> None:
    limit = refused(hasty)
    assert (limit.code, limit.type) == ("limit-reached", "rate_limit_error")
    assert "max_requests_per_s" in limit.message
    assert int(limit.response.headers["retry-after"]) >= 1


def test_the_clients_own_retries_wait_for_it(hasty: openai.OpenAI, patient: openai.OpenAI) -> None:
    refused(hasty)
    begun = time.monotonic()
    assert patient.models.list().data
    assert time.monotonic() - begun >= 0.5


def test_a_full_queue_is_a_limit_too_and_no_job_is_written(
    patient: openai.OpenAI, rows: Connection
) -> None:
    made = [patient.responses.create(model="echo", input="x", background=True) for _ in range(2)]
    with pytest.raises(openai.RateLimitError, match="max_queued_jobs"):
        patient.responses.create(model="echo", input="x", background=True)
    (count,) = rows.execute(
        "SELECT count(*) FROM jobs j JOIN accounts a ON a.id = j.account_id"
        " WHERE a.name = 'limited'"
    ).fetchone() or (0,)
    assert count == 2
    for one in made:
        patient.responses.cancel(one.id)
