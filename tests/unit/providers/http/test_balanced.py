"""Several servers of one model: which of them gets a call."""

import threading
from collections.abc import Iterator

import pytest

from tests.support.fake_servers.model_server import ModelServer, Reply
from tierline.providers.http.balanced import Balanced
from tierline.providers.http.transport import Transport
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause

NOBODY = "http://127.0.0.1:1/v1"
TIMEOUT_S = 10.0


@pytest.fixture
def servers() -> Iterator[tuple[ModelServer, ModelServer]]:
    with ModelServer() as first, ModelServer() as second:
        yield first, second


def balanced(*urls: str) -> Balanced:
    return Balanced([Transport(url, {}, 1_000_000) for url in urls])


def ask(servers: Balanced, timeout_s: float = TIMEOUT_S) -> None:
    servers.post("chat/completions", {"model": "small", "messages": []}, timeout_s)


def test_a_thread_asks_again_where_its_prompt_is_still_held(
    servers: tuple[ModelServer, ModelServer],
) -> None:
    both = balanced(servers[0].url, servers[1].url)
    for _ in range(5):
        ask(both)
    assert sorted(len(one.calls) for one in servers) == [0, 5]
    both.close()


def test_calls_at_once_are_spread_evenly(servers: tuple[ModelServer, ModelServer]) -> None:
    for one in servers:
        one.answer = lambda _: Reply(delay_s=1.0)  # so that all four are under way together
    both = balanced(servers[0].url, servers[1].url)
    threads = [threading.Thread(target=ask, args=(both,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(one.calls) for one in servers] == [2, 2]
    both.close()


def test_a_server_that_is_gone_is_passed_over(servers: tuple[ModelServer, ModelServer]) -> None:
    both = balanced(NOBODY, servers[0].url)
    ask(both)
    assert len(servers[0].calls) == 1
    both.close()


def test_the_call_fails_when_no_server_can_be_reached() -> None:
    none = balanced(NOBODY, NOBODY)
    with pytest.raises(CallFailed) as raised:
        ask(none)
    assert raised.value.cause is Cause.UNREACHABLE


def test_a_server_that_failed_is_not_asked_elsewhere_since_it_may_have_answered(
    servers: tuple[ModelServer, ModelServer],
) -> None:
    first, second = servers
    first.answer = second.answer = lambda _: Reply(cut=True)
    both = balanced(first.url, second.url)
    with pytest.raises(CallFailed) as raised:
        ask(both)
    assert raised.value.cause is Cause.SERVER
    assert len(first.calls) + len(second.calls) == 1
    both.close()
