"""The short form of `make faults`: every fault once, one after the other, under one load."""

import random
from pathlib import Path

import pytest

from tests.faults.breaking import all_faults, possible
from tests.faults.rounds import run_round
from tests.faults.scene import SHORT, Scene

SEED = 20_261_124


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_repeated_whatever_breaks(tmp_path: Path) -> None:
    with Scene(tmp_path, SHORT, SEED) as scene:
        faults = [fault for fault in possible(scene, all_faults()) if fault.short]
        random.Random(SEED).shuffle(faults)
        outcome = run_round(scene, "r1", faults, per_s=3.0)
    books = outcome.balance
    assert books.problems == []
    assert (books.lost, books.repeated, books.apart_usd) == (0, 0, 0)
    assert books.jobs > len(faults)
