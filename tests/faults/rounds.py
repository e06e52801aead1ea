"""One round: jobs are asked for while faults happen, all of it ends, the books are balanced."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.books import balance
from tests.faults.breaking import Fault
from tests.faults.load import Load
from tests.faults.neighbours import Beside, Neighbours
from tests.faults.reading import last_end_s, read_snapshot, wait_quiet
from tests.faults.scene import Scene
from tests.faults.snapshot import Balance
from tests.support.fake_servers.model_ledger import read_ledger

MOST_ODD = 5  # of the odd answers that are named
AFTER_S = 3.0  # how long jobs are still asked for once a fault is over


@dataclass(frozen=True)
class Outcome:
    """What came of a round."""

    faults: tuple[str, ...]
    balance: Balance
    recovery_s: float | None  # from the end of the last fault to the end of the last job before it
    beside: Beside | None = None  # how the other accounts fared, where they are timed


def run_round(scene: Scene, name: str, faults: Sequence[Fault], per_s: float = 6.0) -> Outcome:
    """Break the product in each of these ways, one after the other, while jobs run.

    The other accounts are timed where the round has one fault: the next would disturb the measure.
    Raises AssertionError when a fault could not be made, or the product did not come back from it.
    """
    since = max(read_ledger(scene.ledger), default=0)
    failed_before = len(scene.failures())
    beside: Beside | None = None
    odd: list[str] = []
    with Load(scene, name, per_s) as load:
        load.begin()
        for each in faults:
            scene.wait_ready()
            if each.others_unharmed and len(faults) == 1:
                neighbours = Neighbours(scene, name, load.accepted, odd)
                beside = neighbours.timed(lambda each=each: each.do(scene))  # type: ignore[misc]
            else:
                each.do(scene)
        healed_s = time.time()
        scene.last(AFTER_S)
    wait_quiet(scene, name)
    ended_s = last_end_s(scene, name, healed_s)
    workers_lost = any(each.loses_workers for each in faults)
    snapshot = read_snapshot(scene, name, load.accepted, since=since, workers_lost=workers_lost)
    found = balance(snapshot)
    found.problems += [
        f"{times} times answered {said}" for said, times in load.accepted.odd_answers.items()
    ]
    found.problems += scene.failures()[failed_before:]
    found.problems += [f"another account was answered {said}" for said in odd[:MOST_ODD]]
    if beside is not None and beside.problem is not None:
        found.problems.append(beside.problem)
    if scene.receipts.wrong_signatures:
        found.problems.append(f"{scene.receipts.wrong_signatures} wrong signatures")
    recovery_s = None if ended_s is None else max(0.0, ended_s - healed_s)
    return Outcome(tuple(each.name for each in faults), found, recovery_s, beside)
