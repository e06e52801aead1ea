"""Calls that several threads share."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.jobs.running import together
from tierline.services.jobs.running.together import Together


class Calls:
    """Calls that end when they are let go. Each answers with ten times what was asked."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.may_end = threading.Event()

    def __call__(self, requests: Sequence[int]) -> list[int]:
        self.made.append(list(requests))
        assert self.may_end.wait(DEADLINE_S)
        if 13 in requests:
            raise ValueError("unlucky")
        return [10 * one for one in requests]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.setattr(together, "PATIENCE_S", 20.0)
    return Calls()


def ask_behind(
    calls: Calls, shared: Together[int, int], threads: ThreadPoolExecutor, requests: Sequence[int]
) -> list[Future[int]]:
    """Ask `asked` while a call for 1 runs, in this order; that call may end when all wait."""
    answers = [threads.submit(shared, 1)]
    wait_until(lambda: calls.made == [[1]], DEADLINE_S, "the first call to run")
    for count, one in enumerate(requests, 1):
        answers.append(threads.submit(shared, one))
        wait_until(lambda n=count: shared.waiting == n, DEADLINE_S, "a thread to wait")
    calls.may_end.set()
    return answers


def test_threads_that_ask_while_a_call_runs_share_the_next_ones(calls: Calls) -> None:
    shared = Together(calls, at_once=1, most=3)
    with ThreadPoolExecutor(8) as threads:
        answers = ask_behind(calls, shared, threads, [2, 3, 4, 5])
        assert [one.result(DEADLINE_S) for one in answers] == [10, 20, 30, 40, 50]
    assert calls.made == [[1], [2, 3, 4], [5]]
    assert shared(6) == 60


def test_a_call_waits_for_others_if_it_is_told_to(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Together(calls, at_once=1, most=3, gather_s=0.001)
    calls.may_end.set()
    gathering, all_wait = threading.Event(), threading.Event()

    def gather(seconds: float) -> None:
        assert seconds == 0.001
        gathering.set()
        assert all_wait.wait(20)

    monkeypatch.setattr(together.time, "sleep", gather)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(shared, 1)]
        assert gathering.wait(20)
        for count, one in enumerate((2, 3, 4), 1):
            answers.append(threads.submit(shared, one))
            wait_until(lambda n=count: shared.waiting == n, 20, "a thread to wait")
        all_wait.set()
        assert [one.result(20) for one in answers] == [10, 20, 30, 40]
    assert calls.made == [[1, 2, 3], [4]]


def test_a_thread_makes_its_own_call_while_few_run(calls: Calls) -> None:
    shared = Together(calls, at_once=2, most=8)
    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(shared, one) for one in (1, 2)]
        wait_until(lambda: sorted(calls.made) == [[1], [2]], DEADLINE_S, "both calls to run")
        calls.may_end.set()
        assert [one.result(DEADLINE_S) for one in answers] == [10, 20]


def test_an_error_is_raised_in_each_thread_of_its_call_and_in_no_other(calls: Calls) -> None:
    shared = Together(calls, at_once=1, most=2)
    with ThreadPoolExecutor(8) as threads:
        answers = ask_behind(calls, shared, threads, [12, 13, 14])
        assert answers[0].result(DEADLINE_S) == 10
        for one in answers[1:3]:
            with pytest.raises(ValueError, match="unlucky"):
                one.result(DEADLINE_S)
        assert answers[3].result(DEADLINE_S) == 140


def test_a_call_that_hangs_holds_up_others_for_a_moment_only(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "PATIENCE_S", 0.01)
    shared = Together(calls, at_once=1, most=8)
    with ThreadPoolExecutor(2) as threads:
        hangs = threads.submit(shared, 1)
        wait_until(lambda: calls.made == [[1]], DEADLINE_S, "the first call to run")
        own = threads.submit(shared, 2)
        wait_until(lambda: calls.made == [[1], [2]], DEADLINE_S, "the second call to run beside it")
        calls.may_end.set()
        assert (hangs.result(DEADLINE_S), own.result(DEADLINE_S)) == (10, 20)
