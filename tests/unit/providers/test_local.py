"""The provider `local`: which server a model's call goes to."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_servers.model_server import ModelServer, Reply
from tierline.base.settings import Settings
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers import local as local_provider
from tierline.providers.local import Local
from tierline.providers.types import CallFailed, CompletionRequest
from tierline.rules.causes import Cause
from tierline.rules.retries import Retry


@pytest.fixture
def servers() -> Iterator[tuple[ModelServer, ModelServer]]:
    with ModelServer(lambda _: "one") as first, ModelServer(lambda _: "two") as second:
        yield first, second


def ask(local: Local, model: str, **changes: Any) -> str:
    request = CompletionRequest(
        model=ModelRef("local", model),
        messages=[Message("user", "hello")],
        max_tokens=10,
        temperature=0.0,
        timeout_s=5.0,
        **changes,
    )
    return local.complete(request).text


def test_each_model_goes_to_its_own_server(servers: tuple[ModelServer, ModelServer]) -> None:
    first, second = servers
    local = Local(Settings(local_url=f"small={first.url},large={second.url}", local_api_key="k"))
    assert (ask(local, "small"), ask(local, "large")) == ("one", "two")
    assert first.calls[0].key == "Bearer k"
    local.close()


def test_one_url_takes_every_model(servers: tuple[ModelServer, ModelServer]) -> None:
    local = Local(Settings(local_url=servers[0].url))
    assert ask(local, "whatever") == "one"
    local.close()


def test_a_local_server_is_asked_for_as_many_logprobs_as_it_gives(
    servers: tuple[ModelServer, ModelServer],
) -> None:
    first, _ = servers
    first.answer = lambda _: Reply(text="a")
    local = Local(Settings(local_url=first.url))
    ask(local, "small", top_logprobs=500)
    assert first.calls[0].body["top_logprobs"] == 500
    local.close()


def test_the_first_call_waits_for_a_model_that_is_loading(
    servers: tuple[ModelServer, ModelServer],
) -> None:
    first, _ = servers
    answers = iter([Reply(status=503), Reply(text="ready"), Reply(status=503)])
    first.answer = lambda _: next(answers)
    local = Local(Settings(local_url=first.url))
    assert ask(local, "small") == "ready"
    with pytest.raises(CallFailed) as raised:
        ask(local, "small")
    assert raised.value.cause is Cause.OVERLOADED, "a model that has started is not waited for"
    assert len(first.calls) == 3
    local.close()


def test_a_model_that_never_starts_is_waited_for_once(
    servers: tuple[ModelServer, ModelServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_provider, "STARTS_WITHIN_S", 0.5)
    monkeypatch.setattr(local_provider, "AGAIN_S", 0.1)
    first, _ = servers
    first.answer = lambda _: Reply(status=503)
    local = Local(Settings(local_url=first.url))
    with pytest.raises(CallFailed):
        ask(local, "small")
    tries = len(first.calls)
    with pytest.raises(CallFailed) as raised:
        ask(local, "small")
    assert raised.value.cause is Cause.OVERLOADED
    assert (tries > 1, len(first.calls) - tries) == (True, 1)
    local.close()


def test_a_model_that_no_server_runs_fails_for_good() -> None:
    local = Local(Settings(local_url="small=http://127.0.0.1:1/v1"))
    with pytest.raises(CallFailed, match="no local server runs large") as raised:
        ask(local, "large")
    assert raised.value.retry is Retry.NEVER


def test_without_a_local_server_it_says_what_is_missing() -> None:
    assert Local(Settings(local_url=None)).missing() is not None
