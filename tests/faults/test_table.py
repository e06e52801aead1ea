"""What a run prints, and when it is no success."""

from decimal import Decimal

from tests.faults.rounds import Outcome
from tests.faults.snapshot import Balance
from tests.faults.table import table


def test_rounds_of_one_fault_are_one_row_and_all_have_a_sum() -> None:
    clean = Balance(jobs=10, calls_again=2)
    lossy = Balance(jobs=5, lost=1, apart_usd=Decimal("0.125"))
    rounds = [
        Outcome(("kill",), clean, 1.5),
        Outcome(("cut",), clean, None),
        Outcome(("kill",), lossy, 7.25),
    ]
    heads, *rows = [line.split() for line in table(rounds).splitlines()]
    assert heads[:3] == ["fault", "times", "jobs"]
    assert rows == [
        ["kill", "2", "15", "1", "0", "0.12", "2", "7.2", "s"],
        ["cut", "1", "10", "0", "0", "0.00", "2"],
        ["all", "3", "25", "1", "0", "0.12", "4", "7.2", "s"],
    ]


def test_a_loss_a_repetition_a_difference_or_a_problem_is_not_clean() -> None:
    assert Balance().clean
    assert not Balance(lost=1).clean
    assert not Balance(repeated=1).clean
    assert not Balance(apart_usd=Decimal("0.000001")).clean
    assert not Balance(problems=["a process ended"]).clean
