"""What a run prints, and when it is no success."""

from decimal import Decimal

from tests.faults.neighbours import Beside, p95
from tests.faults.rounds import Outcome
from tests.faults.snapshot import Balance
from tests.faults.table import table


def test_rounds_of_one_fault_are_one_row_and_all_have_a_sum() -> None:
    clean = Balance(jobs=10, calls_again=2)
    lossy = Balance(jobs=5, lost=1, apart_usd=Decimal("0.125"))
    rounds = [
        Outcome(("kill",), clean, 1.5),
        Outcome(("cut",), clean, None),
        Outcome(("kill",), lossy, 7.25, Beside(alone_s=0.5, beside_s=0.7, turns=80)),
    ]
    heads, *rows = [line.split() for line in table(rounds).splitlines()]
    assert heads[:3] == ["fault", "times", "jobs"]
    assert rows == [
        ["kill", "2", "15", "1", "0", "0.12", "2", "7.2", "s", "1.40"],
        ["cut", "1", "10", "0", "0", "0.00", "2"],
        ["all", "3", "25", "1", "0", "0.12", "4", "7.2", "s", "1.40"],
    ]


def test_a_loss_a_repetition_a_difference_or_a_problem_is_not_clean() -> None:
    assert Balance().clean
    assert not Balance(lost=1).clean
    assert not Balance(repeated=1).clean
    assert not Balance(apart_usd=Decimal("0.000001")).clean
    assert not Balance(problems=["a process ended"]).clean


def test_the_other_accounts_may_wait_twice_as_long_and_no_longer() -> None:
    assert Beside(alone_s=0.5, beside_s=1.0, turns=40).problem is None
    assert "2.2 times" in str(Beside(alone_s=0.5, beside_s=1.1, turns=40).problem)
    assert "too few" in str(Beside(alone_s=0.5, beside_s=0.5, turns=39).problem)


def test_the_95th_percentile_is_the_nearest_rank() -> None:
    assert p95([float(one) for one in range(1, 101)]) == 95.0
    assert p95([3.0]) == 3.0
