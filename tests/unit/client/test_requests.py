"""How requests go out: by which proxy, for how long, and what is recorded of the answers."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.fake_servers.scripted_api import ScriptedApi, scripted_api
from tierline_client import AsyncTierline, Tierline, Unavailable

FAR = "http://tierline.invalid"
EMPTY = (200, {"data": []})
Asks = Callable[..., list[Any]]


@pytest.fixture
def server() -> Iterator[ScriptedApi]:
    with scripted_api() as made:
        made.script = [EMPTY]
        yield made


def ask(*arguments: Any, **options: Any) -> list[Any]:
    """The answers to one question of the client for threads."""
    with Tierline(*arguments, **options) as client, client.with_raw_response() as raw:
        client.features.list()
    return raw.all


def ask_async(*arguments: Any, **options: Any) -> list[Any]:
    """The same of the client for asyncio."""

    async def run() -> list[Any]:
        async with AsyncTierline(*arguments, **options) as client:
            with client.with_raw_response() as raw:
                await client.features.list()
        return raw.all

    return asyncio.run(run())


both = pytest.mark.parametrize("asks", [ask, ask_async])


@both
def test_a_proxy_gets_the_requests(server: ScriptedApi, asks: Asks) -> None:
    asks(FAR, server.key, proxy=server.place.url)
    assert server.paths == [f"{FAR}/v1/features"]


@both
def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    server: ScriptedApi, asks: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.place.url)
    asks(FAR, server.key)
    asks(server.place.url, server.key)
    assert server.paths == [f"{FAR}/v1/features", "/v1/features"]


@both
def test_a_request_ends_with_its_timeout(asks: Asks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match="takes too long to answer"):
            asks(url, "key", timeout=0.05, retries=0)


@both
def test_each_answer_is_recorded_also_one_that_is_repeated(server: ScriptedApi, asks: Asks) -> None:
    server.script = [(503, {"detail": "away"}), EMPTY]
    server.headers["Request-Id"] = "r-1"
    answers = asks(server.place.url, server.key)
    assert [(one.status, one.request_id) for one in answers] == [(503, "r-1"), (200, "r-1")]
    assert answers[-1].headers["tierline-api"] == "v1"
