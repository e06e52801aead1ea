"""Who may send how much next: the dispatcher's decision about webhooks."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from tierline.webhooks.shares import DEFAULT_IN_FLIGHT, DueTarget, share_out

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def due(
    name: str, *, account: int = 1, most: int = DEFAULT_IN_FLIGHT, count: int = 100, held: int = 0
) -> DueTarget:
    return DueTarget(account, name, most, count, NOON, held)


def shared(*targets: DueTarget, threads: int = 16, spare: int = 0) -> dict[str, int]:
    held: Counter[int] = Counter()
    for one in targets:
        held[one.account_id] += one.held
    return {one.target: count for one, count in share_out(targets, held, threads, spare)}


def test_a_target_has_no_more_out_than_it_asked_for() -> None:
    assert shared(due("a", most=5, held=3), threads=64) == {"a": 2}
    assert shared(due("a", most=5, held=5), threads=64) == {}
    assert shared(due("a", most=5, held=9), threads=64) == {}


def test_no_more_go_out_than_are_due() -> None:
    assert shared(due("a", most=30, count=3), threads=64) == {"a": 3}


def test_an_account_has_at_most_half_of_what_is_out() -> None:
    assert shared(due("a", most=64), threads=16, spare=8) == {"a": 12}


def test_what_is_beyond_the_default_leaves_an_eighth_of_the_threads_free() -> None:
    hanging = [due(f"h{n}", account=n, most=64) for n in range(1, 6)]

    chosen = shared(*hanging, threads=32, spare=8)

    assert sum(chosen.values()) == 28
    after = [due(f"h{n}", account=n, most=64, held=chosen[f"h{n}"]) for n in range(1, 6)]
    assert shared(*after, due("quiet", account=9), threads=32, spare=8) == {"quiet": 2}


def test_the_first_two_of_each_target_may_take_every_thread() -> None:
    chosen = shared(*[due(f"t{n}", account=n) for n in range(8)], threads=16)

    assert chosen == {f"t{n}": 2 for n in range(8)}


def test_whoever_holds_least_is_next() -> None:
    chosen = shared(
        due("busy", account=1, most=64, held=10),
        due("quiet", account=2, most=64),
        threads=32,
    )

    assert (10 + chosen["busy"], chosen["quiet"]) == (14, 14)


def test_the_targets_of_an_account_take_turns() -> None:
    chosen = shared(due("a", most=64), due("b", most=64), threads=16)

    assert chosen == {"a": 4, "b": 4}


def test_the_one_that_is_due_longest_goes_first() -> None:
    late = DueTarget(1, "late", 2, 1, NOON)
    early = DueTarget(2, "early", 2, 1, NOON - timedelta(seconds=1))

    assert share_out([late, early], {}, threads=1, spare=0) == [(early, 1)]


def test_without_a_worker_in_sight_a_little_waits_in_the_broker() -> None:
    assert shared(due("a", most=64), due("b", account=2, most=64), threads=0, spare=8) == {
        "a": 2,
        "b": 2,
    }
