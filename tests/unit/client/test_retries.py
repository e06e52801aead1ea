"""Requests that outlast a restart of the API, on a server that answers as it is told."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.fake_servers.scripted_api import GOOD, ScriptedApi, scripted_api
from tierline_client import Forbidden, InvalidInput, NotTierline, Patience, Retrying, Unavailable

PATIENCE = Patience()


@pytest.fixture
def server() -> Iterator[ScriptedApi]:
    with scripted_api() as made:
        yield made


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def pause(self, pause_s: float) -> None:
        self.now_s += pause_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


Opens = Callable[..., Retrying]


@pytest.fixture
def opened(server: ScriptedApi, clock: Clock) -> Iterator[Opens]:
    """Makes one that has been answered, unless `first` is False."""
    made: list[Retrying] = []

    def open_one(messages: list[str] | None = None, *, moves: bool = True, first: bool = True):
        retrying = Retrying(
            server.place,
            (messages if messages is not None else []).append,
            find_again=(lambda: server.place) if moves else None,
            pause=clock.pause,
            monotonic=lambda: clock.now_s,
        )
        made.append(retrying)
        if first:
            assert get(retrying, "/first") == {"ok": True}
        return retrying

    yield open_one
    for one in made:
        one.close()


def get(api: Retrying, path: str = "/x") -> object:
    return api.call(lambda transport: transport.get(path))


def test_a_request_is_repeated_until_it_is_answered_and_both_are_said(
    server: ScriptedApi, opened: Opens
) -> None:
    messages: list[str] = []
    api = opened(messages)
    server.script = [(503, {"detail": "starting"})] * 8 + [GOOD]
    assert get(api) == {"ok": True}
    assert server.paths.count("/x") == 9
    assert messages == ["waiting for the API: starting", "the API answers again"]


def test_the_wait_that_the_api_asks_for_is_kept_within_reason(
    server: ScriptedApi, clock: Clock, opened: Opens
) -> None:
    api = opened()
    for retry_after, waits_s in (("20", 20.0), ("86400", PATIENCE.longest_asked_s)):
        server.retry_after = retry_after
        server.script = [(429, {"detail": "too many"}), GOOD]
        began_s = clock.now_s
        assert get(api) == {"ok": True}
        assert clock.now_s - began_s == waits_s


def test_a_full_queue_is_waited_for_however_long_it_takes_and_that_is_said(
    server: ScriptedApi, clock: Clock, opened: Opens
) -> None:
    messages: list[str] = []
    server.retry_after = "60"
    server.script = [(429, {"detail": "as many as it may"})] * 40 + [GOOD]
    assert get(opened(messages, first=False)) == {"ok": True}
    assert clock.now_s >= 40 * 60 > 2 * PATIENCE.give_up_s
    assert messages == ["waiting for the API: as many as it may", "the API answers again"]


def test_it_gives_up_after_a_bounded_time(server: ScriptedApi, clock: Clock, opened: Opens) -> None:
    api = opened()
    server.script = [(503, {"detail": "down"})]
    with pytest.raises(Unavailable, match="down"):
        get(api)
    assert clock.now_s == pytest.approx(PATIENCE.give_up_s, abs=2 * PATIENCE.longest_pause_s)


def test_before_the_first_answer_nothing_is_waited_for(
    server: ScriptedApi, clock: Clock, opened: Opens
) -> None:
    server.script = [(503, {"detail": "down"})]
    with pytest.raises(Unavailable):
        get(opened(first=False))
    assert (clock.now_s, len(server.paths)) == (0.0, 1)


def test_the_key_of_the_next_up_is_looked_up(server: ScriptedApi, opened: Opens) -> None:
    api = opened()
    server.key = "another"
    assert get(api) == {"ok": True}


def test_a_key_that_stays_refused_ends_it(server: ScriptedApi, clock: Clock) -> None:
    old = server.place
    with Retrying(
        old,
        lambda text: None,
        find_again=lambda: old,
        pause=clock.pause,
        monotonic=lambda: clock.now_s,
    ) as api:
        get(api)
        server.key = "another"
        with pytest.raises(Forbidden):
            get(api)
    assert clock.now_s < PATIENCE.refused_s + 2 * PATIENCE.longest_pause_s


def test_a_key_of_a_place_that_does_not_move_is_not_waited_for(
    server: ScriptedApi, clock: Clock, opened: Opens
) -> None:
    api = opened(moves=False)
    server.script = [(403, {"detail": "this key may only read"})]
    with pytest.raises(Forbidden, match="only read"):
        get(api)
    assert clock.now_s == 0.0


def test_what_the_api_refuses_is_not_repeated(server: ScriptedApi, opened: Opens) -> None:
    api = opened()
    server.script = [(422, {"detail": "no"})]
    with pytest.raises(InvalidInput):
        get(api)
    assert server.paths.count("/x") == 1


def test_another_web_server_is_not_asked_again(
    server: ScriptedApi, clock: Clock, opened: Opens
) -> None:
    server.headers = {}
    with pytest.raises(NotTierline):
        get(opened(first=False))
    assert clock.now_s == 0.0
