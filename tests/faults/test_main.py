"""Which faults a run of `make faults` has."""

import itertools

import pytest

from tests.faults.__main__ import in_turn
from tests.faults.breaking import all_faults


def test_every_fault_happens_once_even_if_the_time_is_up_before() -> None:
    faults = list(all_faults())
    names = [each.name for each in in_turn(faults, seed=3, late=lambda: True)]
    assert sorted(names) == sorted(each.name for each in faults)
    assert names != sorted(names)


@pytest.mark.parametrize("more", [0, 1, 60])
def test_faults_are_repeated_until_the_time_is_up(more: int) -> None:
    faults = list(all_faults())
    late = itertools.chain([False] * more, itertools.repeat(True))
    turns = list(in_turn(faults, seed=3, late=lambda: next(late)))
    assert len(turns) == len(faults) + more
