"""Hints are taken from the broker's lists by the free threads, and Celery's tools see them."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings
from workers.take import BLOCK_S, Messages, Threads, read_hint


@pytest.fixture
def broker(environment: None) -> Iterator["redis.Redis[Any]"]:
    client = redis.Redis.from_url(settings().broker)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture(params=["blmpop", "before Redis 7"])
def messages(broker: "redis.Redis[Any]", request: pytest.FixtureRequest) -> Iterator[Messages]:
    """Both ways of popping, the second one as with a server that does not know BLMPOP."""
    if request.param != "blmpop":
        broker.execute_command("ACL", "SETUSER", "default", "-blmpop")
    taken = Messages(("slm", "slm-backfill"))
    yield taken
    taken.close()
    broker.execute_command("ACL", "SETUSER", "default", "+@all")


def test_the_oldest_messages_of_the_first_queue_come_first(
    broker: "redis.Redis[Any]", messages: Messages
) -> None:
    broker.lpush("slm-backfill", "b1")
    for payload in ("1", "2", "3", "4"):
        broker.lpush("slm", payload)
    assert messages.pop(3) == ("slm", [b"1", b"2", b"3"])
    assert messages.pop(3) == ("slm", [b"4"])
    assert messages.pop(1) == ("slm-backfill", [b"b1"])


def test_what_is_put_back_comes_first_again(broker: "redis.Redis[Any]", messages: Messages) -> None:
    for payload in ("1", "2", "3"):
        broker.lpush("slm", payload)
    messages.put_back(*messages.pop(2))
    assert messages.pop(9) == ("slm", [b"1", b"2", b"3"])


def test_an_empty_queue_is_waited_for(broker: "redis.Redis[Any]", messages: Messages) -> None:
    started = time.monotonic()
    assert messages.pop(4) == ("", [])
    assert time.monotonic() - started >= BLOCK_S * 0.9
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(messages.pop, 4)
        broker.lpush("slm", "late")
        assert waiting.result(DEADLINE_S) == ("slm", [b"late"])


def test_a_thread_counts_as_free_only_when_its_work_has_ended() -> None:
    go = threading.Event()

    def wait() -> None:
        go.wait(DEADLINE_S)

    with ThreadPoolExecutor(2) as executor:
        threads = Threads(executor, 2)
        threads.run(wait)
        assert threads.wait_for_free(0.0) == 1
        threads.run(wait)
        assert threads.wait_for_free(0.01) == 0
        go.set()
        wait_until(lambda: threads.wait_for_free(1.0) == 2, DEADLINE_S, "both threads to be free")


def test_backfills_leave_the_threads_that_are_kept_and_those_that_are_promised() -> None:
    go = threading.Event()

    def wait() -> None:
        go.wait(20.0)

    with ThreadPoolExecutor(16) as executor:
        threads = Threads(executor, 16, keep=1)
        assert threads.promise(4) == 4
        assert threads.wait_for_backfills(0.0) == 12
        threads.keep_promise()
        assert threads.wait_for_backfills(0.0) == 15
        for _ in range(14):
            threads.run(wait)
        assert threads.promise(4) == 1, "half of the two that are free"
        assert threads.wait_for_backfills(0.0) == 1
        threads.keep_promise()
        threads.run(wait)
        assert threads.wait_for_backfills(0.01) == 0
        assert threads.promise(4) == threads.wait_for_free(0.0) == 1
        go.set()
        wait_until(lambda: threads.wait_for_backfills(1.0) == 15, 20, "the threads to be free")


def test_threads_that_are_taken_for_backfills_are_not_promised_before_they_work() -> None:
    done = threading.Event()
    with ThreadPoolExecutor(8) as executor:
        threads = Threads(executor, 8, keep=2)
        assert threads.take_for_backfills(9) == 6
        assert threads.promise(4) == 2, "what is left"
        assert threads.take_for_backfills(1) == 0
        threads.keep_promise()
        threads.run(done.set, taken=True)
        threads.give_back(5)
        assert done.wait(DEADLINE_S)
        wait_until(lambda: threads.wait_for_free(1.0) == 8, DEADLINE_S, "the threads")


def test_work_that_raises_frees_its_thread() -> None:
    def fail() -> None:
        raise RuntimeError

    with ThreadPoolExecutor(1) as executor:
        threads = Threads(executor, 1)
        threads.run(fail)
        assert wait_until(lambda: threads.wait_for_free(1.0), DEADLINE_S, "the thread") == 1
    with pytest.raises(RuntimeError):
        threads.run(fail)
    assert threads.wait_for_free(0.0) == 1, "the pool refused it, so no thread is in use"


def test_the_hint_that_the_dispatcher_sends_is_read(broker: "redis.Redis[Any]") -> None:
    from workers.app import create_app
    from workers.hints import publish

    job_id = str(new_id())
    publish(create_app(), [("slm", (job_id,)), ("maintenance", ())])
    payload = broker.rpop("slm")
    assert isinstance(payload, bytes)
    hint = read_hint(payload, "slm", "slm@here")
    assert (hint.name, hint.arguments, hint.queue) == ("slm.answer", (job_id,), "slm")
    assert hint.info()["args"] == [job_id]
    sweep = broker.rpop("maintenance")
    assert isinstance(sweep, bytes)
    assert read_hint(sweep, "maintenance", "x").arguments == ()


@pytest.mark.parametrize(
    "payload", [b"", b"no JSON", b"[]", b"{}", b'{"headers": {}, "body": "", "properties": {}}']
)
def test_another_message_is_no_hint(payload: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_hint(payload, "slm", "slm@here")
