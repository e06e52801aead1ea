"""OpenAI's own client, unchanged, pointed at /openai/v1."""

from collections.abc import Iterator

import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.processes.played_worker import played
from tierline.services.accounts.accounts import create_key


@pytest.fixture(scope="module")
def key(api: Api, rows: psycopg.Connection[tuple[object, ...]]) -> str:
    return create_key(rows, "default", ("submit", "read")).key


@pytest.fixture
def client(api: Api, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def worker(database_url: str, feature: str) -> Iterator[list[str]]:
    """Answers the jobs of the module's `feature`; the ids of those that ended."""
    with played(database_url, feature) as ended:
        yield ended
