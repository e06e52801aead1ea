"""The fair choice, the room for hints and the waits between tries."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from tierline.rules.scheduling import (
    Candidate,
    Group,
    Turns,
    Waiting,
    account_limit,
    backoff_s,
    choose,
    free_to_account,
    free_to_backfills,
    hints_ahead,
    kept_free,
    limit_of_one_model,
    model_limits,
    room_for_hints,
    worth_reading,
)


def job(account_id: int, number: int) -> UUID:
    return UUID(int=account_id * 1_000_000 + number)


def backlog(
    account_id: int,
    count: int,
    weight: int = 1,
    free: int = 99,
    model: str = "openai:small",
    free_of_model: Mapping[str, int] | None = None,
) -> Waiting:
    jobs = [Candidate(job(account_id, number), model) for number in range(count)]
    return Waiting(account_id, weight, jobs, free, free_of_model or {})


def owners(chosen: Iterable[Candidate]) -> list[int]:
    return [one.job_id.int // 1_000_000 for one in chosen]


def models(chosen: Iterable[Candidate]) -> Counter[str]:
    return Counter(one.model for one in chosen)


def test_accounts_take_turns() -> None:
    chosen, _ = choose([backlog(1, 9), backlog(2, 9)], 6, Turns(), {})
    assert owners(chosen) == [1, 2, 1, 2, 1, 2]


def test_an_accounts_jobs_go_in_their_order() -> None:
    chosen, _ = choose([backlog(1, 5)], 3, Turns(), {})
    assert [one.job_id for one in chosen] == [job(1, 0), job(1, 1), job(1, 2)]


def test_the_turn_goes_on_where_the_last_choice_stopped() -> None:
    chosen, turns = choose([backlog(1, 9), backlog(2, 9), backlog(3, 9)], 2, Turns(), {})
    assert owners(chosen) == [1, 2]
    chosen, _ = choose([backlog(1, 9), backlog(2, 9), backlog(3, 9)], 2, turns, {})
    assert owners(chosen) == [3, 1]


def test_a_turn_is_worth_the_accounts_weight_also_when_room_cuts_it_short() -> None:
    waiting = [backlog(1, 99, weight=3), backlog(2, 99)]
    turns = Turns()
    order: list[int] = []
    for _ in range(8):
        chosen, turns = choose(waiting, 1, turns, {})
        order += owners(chosen)
    assert order == [1, 1, 1, 2, 1, 1, 1, 2]


def test_no_account_is_taken_past_what_is_free_to_it() -> None:
    chosen, _ = choose([backlog(1, 9, free=1), backlog(2, 9, free=4)], 10, Turns(), {})
    assert Counter(owners(chosen)) == {1: 1, 2: 4}


def test_an_account_over_its_limit_gets_nothing() -> None:
    assert choose([backlog(1, 9, free=-3)], 5, Turns(), {})[0] == []


def test_jobs_of_a_model_that_may_have_no_more_are_stepped_over() -> None:
    slow, quick = backlog(1, 50, model="a:slow"), backlog(1, 3, model="b:quick")
    mixed = Waiting(1, 1, [*slow.jobs, *quick.jobs], free=99)
    chosen, _ = choose([mixed, backlog(2, 5, model="a:slow")], 20, Turns(), {"a:slow": 4})
    assert models(chosen) == {"a:slow": 4, "b:quick": 3}


def test_what_a_model_has_free_is_also_kept_for_each_account() -> None:
    few = {"a:slow": 2}
    waiting = [backlog(n, 9, model="a:slow", free_of_model=few) for n in (1, 2, 3)]
    chosen, _ = choose(waiting, 20, Turns(), {"a:slow": 5})
    assert Counter(owners(chosen)) == {1: 2, 2: 2, 3: 1}


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
    waiting = [backlog(n + 1, count, weights[n], limit) for n, count in enumerate(counts)]
    chosen, turns = choose(waiting, room, Turns(start, left), {})
    assert len(set(chosen)) == len(chosen)
    assert len(chosen) == min(room, sum(min(count, limit) for count in counts))
    assert all(count <= limit for count in Counter(owners(chosen)).values())
    assert turns.left >= 0


@given(
    jobs=st.lists(st.lists(st.sampled_from("abc"), max_size=20), min_size=1, max_size=5),
    free=st.dictionaries(st.sampled_from("abc"), st.integers(-3, 12)),
    room=st.integers(0, 40),
)
def test_no_model_is_taken_past_what_is_free_and_none_is_kept_waiting_by_another(
    jobs: list[list[str]], free: dict[str, int], room: int
) -> None:
    waiting = [
        Waiting(n, 1, [Candidate(job(n, at), model) for at, model in enumerate(names)], 99)
        for n, names in enumerate(jobs, 1)
    ]
    chosen, _ = choose(waiting, room, Turns(), free)
    waits = Counter(model for names in jobs for model in names)
    could = sum(min(count, max(0, free.get(model, count))) for model, count in waits.items())
    assert len(chosen) == min(room, could)
    assert all(count <= free.get(model, count) for model, count in models(chosen).items())


def test_a_model_alone_has_no_limit() -> None:
    assert model_limits({"a": 50}, ["a"], threads=16, spare=4) == {}
    assert model_limits({}, [], threads=16, spare=4) == {}


def test_hints_last_until_the_next_choice_where_jobs_end_quickly() -> None:
    assert hints_ahead(4, taken_per_s=0.0, pause_s=0.0, threads=64) == 4
    assert hints_ahead(4, taken_per_s=100.0, pause_s=0.025, threads=64) == 4
    assert hints_ahead(4, taken_per_s=600.0, pause_s=0.03, threads=64) == 27
    assert hints_ahead(4, taken_per_s=200.0, pause_s=0.9, threads=64) == 20  # for 0.1 s at most
    assert hints_ahead(4, taken_per_s=5000.0, pause_s=0.03, threads=64) == 32
    assert hints_ahead(4, taken_per_s=5000.0, pause_s=0.03, threads=2) == 4


def test_the_last_eighth_of_the_threads_is_kept_from_any_one_of_several_models() -> None:
    assert model_limits({"a": 99}, ["a", "b"], threads=64, spare=4) == {"a": 56}
    assert limit_of_one_model(64) == 48
    assert [limit_of_one_model(threads) for threads in (16, 8, 4, 2, 1, 0)] == [12, 5, 1, 1, 1, 1]


def test_models_share_the_threads_and_what_one_does_not_want_is_the_others() -> None:
    def shares(**demand: int) -> dict[str, int]:
        return model_limits(demand, [], threads=16, spare=4)

    assert shares(a=50, b=50) == {"a": 10, "b": 10}
    assert shares(a=50, b=3) == {"b": 3, "a": 14}
    assert shares(a=50, b=50, c=2) == {"c": 2, "a": 9, "b": 9}


@given(
    demand=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 60), min_size=2),
    threads=st.integers(0, 64),
)
def test_a_model_never_gets_more_than_it_wants_nor_less_than_an_equal_share(
    demand: dict[str, int], threads: int
) -> None:
    limits = model_limits(demand, [], threads, spare=4)
    equal = min((threads + 4) // len(demand), account_limit(threads))
    for model, want in demand.items():
        assert min(want, equal) <= limits[model] <= want


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


def test_an_accounts_interactive_jobs_do_not_wait_for_its_own_backfill() -> None:
    def free(held: int, held_in_lane: int, *, interactive: bool) -> int:
        return free_to_account(16, held, held_in_lane, interactive=interactive)

    assert free(14, 14, interactive=False) == 0
    assert free(14, 0, interactive=True) == 2  # beside 14 of its backfill
    assert free(14, 13, interactive=False) == 1  # beside one of its interactive jobs
    assert free(15, 13, interactive=False) == 0  # … and beside two it gives way
    assert free(15, 1, interactive=False) == 0
    assert free(14, 14, interactive=True) == 0  # without a backfill
    assert free(16, 2, interactive=True) == 0
    assert free_to_account(0, 0, 0, interactive=True) == 2


def test_backfills_of_all_accounts_leave_half_of_what_one_account_leaves() -> None:
    assert [free_to_backfills(threads, 0) for threads in (1, 2, 4, 16, 64)] == [1, 2, 3, 15, 60]
    assert free_to_backfills(16, 14) == 1
    assert free_to_backfills(16, 20) == 0
    assert free_to_backfills(0, 1) == 1  # for the first worker


def test_hints_of_backfills_go_ahead_only_if_the_workers_keep_the_threads_free() -> None:
    for kept, free in ((3, 60), (4, 76), (5, 76)):
        assert free_to_backfills(64, 0, kept_by_workers=kept, ahead=16) == free
    assert free_to_backfills(64, 70, kept_by_workers=4, ahead=16) == 6
    assert free_to_backfills(0, 0, kept_by_workers=4, ahead=16) == 2  # for the first worker


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40))
def test_processes_keep_no_more_threads_free_than_the_pool_wants(processes: list[int]) -> None:
    limit = sum(processes) - free_to_backfills(sum(processes), 0)
    assert sum(kept_free(("slm", "slm-backfill"), threads) for threads in processes) <= limit


def test_a_process_of_one_lane_keeps_no_thread_free() -> None:
    assert kept_free(("slm", "slm-backfill"), 32) == 2
    assert kept_free(("slm", "deeper-analysis", "quarantine"), 32) == 0
    assert kept_free(("slm-backfill",), 32) == 0


def test_waits_double_up_to_their_most() -> None:
    waits = [backoff_s(tries, 1.0, 60.0, draw=1.0) for tries in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff_s(3, 1.0, 60.0, draw=0.0) == 2.0


def test_a_job_that_failed_thousands_of_times_waits_no_longer_than_the_most() -> None:
    assert backoff_s(5_000, 1.0, 60.0, draw=0.0) == 30.0


@dataclass(frozen=True)
class Owner:
    """An account: its backlog by model, in the order of its jobs, and what it may hold."""

    weight: int
    free: int
    jobs: list[str]  # the model of each
    free_of_model: dict[str, int]


some_owner = st.builds(
    Owner,
    weight=st.integers(1, 4),
    free=st.integers(0, 9),
    jobs=st.lists(st.sampled_from("abc"), min_size=1, max_size=14),
    free_of_model=st.dictionaries(st.sampled_from("abc"), st.integers(-1, 5), max_size=2),
)


@given(
    owners=st.lists(some_owner, min_size=1, max_size=25),
    room=st.integers(1, 12),
    turns=st.builds(Turns, st.integers(0, 25), st.integers(0, 1)),
    free_of_model=st.dictionaries(st.sampled_from("abc"), st.integers(-1, 12)),
)
@example(owners=[Owner(2, 2, ["a", "a"], {})], room=1, turns=Turns(0, 0), free_of_model={})
def test_a_choice_of_what_is_worth_reading_is_the_choice_of_all(
    owners: list[Owner], room: int, turns: Turns, free_of_model: dict[str, int]
) -> None:
    def waiting(read: Mapping[tuple[int, str], int]) -> list[Waiting]:
        accounts = []
        for account, owner in enumerate(owners):
            left = {model: read.get((account, model), 0) for model in "abc"}
            jobs = []
            for number, model in enumerate(owner.jobs):
                if left[model] > 0:
                    left[model] -= 1
                    jobs.append(Candidate(job(account, number), model))
            accounts.append(Waiting(account, owner.weight, jobs, owner.free, owner.free_of_model))
        return accounts

    groups = [
        Group(account, owner.weight, 1, model, model, owner.free, idle=not owner.free_of_model)
        for account, owner in enumerate(owners)
        for model in sorted(set(owner.jobs))
    ]
    everything = {(account, model): 99 for account in range(len(owners)) for model in "abc"}
    worth = worth_reading(groups, room, turns)
    read = {(group.account_id, group.tier): most for group, most in worth}
    assert choose(waiting(read), room, turns, free_of_model) == choose(
        waiting(everything), room, turns, free_of_model
    )


def test_of_many_accounts_no_more_is_read_than_a_choice_takes() -> None:
    groups = [Group(n, 2, 1, "slm", "small", free=50, idle=True) for n in range(1_000)]
    worth = worth_reading(groups, 60, Turns(900, 0))
    assert [group.account_id for group, _ in worth] == [*range(901, 961)]
    assert {most for _, most in worth} == {2}
