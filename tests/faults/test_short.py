"""The short form of `make faults`: one fault after the other, under one load.

The suite has one fault of each kind; `make nightly` has every fault that takes seconds.
"""

import random
from pathlib import Path

import pytest

from tests.faults.breaking import all_faults, possible
from tests.faults.rounds import run_round
from tests.faults.scene import SHORT, Scene
from tests.support.processes.prepared_home import MakeHome

SEED = 20_261_124
LIKE = {  # left to the nightly form, and what stands for each in the suite
    "FLUSHALL of the broker": "broker restarted without its data",
    "Postgres restarted": "kill -9 of Postgres",
    "SIGTERM of a worker, twice": "SIGTERM of a worker in the middle of calls",
    "broker away for a while": "broker frozen with its port open",
    "kill -9 of Flower": "kill -9 of the api",
    "kill -9 of the broker": "broker restarted without its data",
    "kill -9 of the deeper worker": "kill -9 of the first tier's worker",
    "kill -9 of the quarantine worker": "kill -9 of the first tier's worker",
    "texts of a million combining marks": "1 MB of unknown keys",
    "a snapshot held open": "a pg_dump with a slow reader",
    "a stranger's lock on one overdue job": "kill -9 of a worker beside a stranger's lock",
    "the same hint ten times": "hints in any order, of jobs that have ended and of none",
}


def test_what_is_left_to_the_night_has_its_like_in_the_suite() -> None:
    short = {fault.name for fault in all_faults() if fault.short}
    assert set(LIKE) | set(LIKE.values()) <= short
    assert set(LIKE).isdisjoint(LIKE.values())


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_nothing_is_lost_or_repeated_whatever_breaks(
    tmp_path: Path, make_home: MakeHome, every: bool
) -> None:
    make_home(tmp_path / "home")
    chosen = [fault for fault in all_faults() if fault.short and (every or fault.name not in LIKE)]
    with Scene(tmp_path, SHORT, SEED, flower=every) as scene:  # only `every` kills Flower
        faults = list(possible(scene, chosen))
        random.Random(SEED).shuffle(faults)
        outcome = run_round(scene, "r1", faults, per_s=3.0 if every else 2.0)
    books = outcome.balance
    assert books.problems == []
    assert (books.lost, books.repeated, books.apart_usd) == (0, 0, 0)
    assert books.jobs > len(faults)
