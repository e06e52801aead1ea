"""The fair choice, the room for hints and the waits between tries."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tierline.scheduling import (
    Turns,
    Waiting,
    account_limit,
    backoff_s,
    choose,
    room_for_hints,
)


def job(account_id: int, number: int) -> UUID:
    return UUID(int=account_id * 1_000_000 + number)


def backlog(account_id: int, count: int, weight: int = 1) -> Waiting:
    return Waiting(account_id, weight, [job(account_id, number) for number in range(count)])


def owners(chosen: list[UUID]) -> list[int]:
    return [one.int // 1_000_000 for one in chosen]


def test_accounts_take_turns() -> None:
    chosen, _ = choose([backlog(1, 9), backlog(2, 9)], 6, {}, 99, Turns())
    assert owners(chosen) == [1, 2, 1, 2, 1, 2]


def test_an_accounts_jobs_go_in_their_order() -> None:
    chosen, _ = choose([backlog(1, 5)], 3, {}, 99, Turns())
    assert chosen == [job(1, 0), job(1, 1), job(1, 2)]


def test_the_turn_goes_on_where_the_last_choice_stopped() -> None:
    chosen, turns = choose([backlog(1, 9), backlog(2, 9), backlog(3, 9)], 2, {}, 99, Turns())
    assert owners(chosen) == [1, 2]
    chosen, _ = choose([backlog(1, 9), backlog(2, 9), backlog(3, 9)], 2, {}, 99, turns)
    assert owners(chosen) == [3, 1]


def test_a_turn_is_worth_the_accounts_weight_also_when_room_cuts_it_short() -> None:
    waiting = [backlog(1, 99, weight=3), backlog(2, 99)]
    turns = Turns()
    found: list[int] = []
    for _ in range(8):
        chosen, turns = choose(waiting, 1, {}, 99, turns)
        found += owners(chosen)
    assert found == [1, 1, 1, 2, 1, 1, 1, 2]


def test_no_account_is_taken_past_its_limit() -> None:
    chosen, _ = choose([backlog(1, 9), backlog(2, 9)], 10, {1: 3}, 4, Turns())
    assert Counter(owners(chosen)) == {1: 1, 2: 4}


def test_an_account_over_its_limit_gets_nothing() -> None:
    assert choose([backlog(1, 9)], 5, {1: 7}, 4, Turns())[0] == []


@given(
    counts=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    weights=st.lists(st.integers(1, 5), min_size=6, max_size=6),
    room=st.integers(0, 40),
    limit=st.integers(1, 15),
    start=st.integers(0, 8),
    left=st.integers(0, 5),
)
def test_a_choice_fills_the_room_as_far_as_limits_and_backlogs_go(
    counts: list[int], weights: list[int], room: int, limit: int, start: int, left: int
) -> None:
    waiting = [backlog(n + 1, count, weights[n]) for n, count in enumerate(counts)]
    chosen, turns = choose(waiting, room, {}, limit, Turns(start, left))
    assert len(set(chosen)) == len(chosen)
    assert len(chosen) == min(room, sum(min(count, limit) for count in counts))
    assert all(count <= limit for count in Counter(owners(chosen)).values())
    assert turns.left >= 0


def test_hints_fill_the_idle_threads_and_a_few_more() -> None:
    assert room_for_hints(threads=16, running=10, hinted=0, spare=4) == 10
    assert room_for_hints(threads=16, running=16, hinted=3, spare=4) == 1
    assert room_for_hints(threads=16, running=16, hinted=9, spare=4) == 0
    assert room_for_hints(threads=0, running=5, hinted=0, spare=4) == 4


def test_the_last_eighth_of_the_threads_is_kept_from_any_one_account() -> None:
    assert account_limit(64) == 56
    assert account_limit(8) == 6
    assert account_limit(2) == 1
    assert account_limit(1) == 1


def test_waits_double_up_to_their_most() -> None:
    waits = [backoff_s(tries, 1.0, 60.0, draw=1.0) for tries in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff_s(3, 1.0, 60.0, draw=0.0) == 2.0


def test_a_job_that_failed_thousands_of_times_waits_no_longer_than_the_most() -> None:
    assert backoff_s(5_000, 1.0, 60.0, draw=0.0) == 30.0
