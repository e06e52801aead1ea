"""`make faults SEED=n MINUTES=m`: break the product for a while, and say what came of it.

Every fault once, each alone, in an order that the seed shuffles, however long that takes; then
again in other orders until the time is up. Exit code 1 when a job was lost, something was repeated,
a sum does not add up, or the product did not come back from a fault within a lease and ten seconds.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.breaking import Fault, all_faults, possible
from tests.faults.rounds import Outcome, run_round
from tests.faults.scene import Scene, Times
from tests.faults.table import table

RECOVERY_S = 10.0  # beyond a lease: by then the jobs of a killed worker must have ended


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the mix of jobs and the order")
    parser.add_argument(
        "--minutes",
        type=float,
        default=15.0,
        help="each fault happens once, even if that takes longer",
    )
    parser.add_argument("--only", default="", help="faults whose name holds this word")
    arguments = parser.parse_args()
    chosen = [fault for fault in all_faults() if arguments.only in fault.name]
    if not chosen:
        names = "\n  ".join(fault.name for fault in all_faults())
        parser.error(f"no fault's name holds {arguments.only!r}; there are\n  {names}")
    began = time.monotonic()
    outcomes: list[Outcome] = []
    broken: AssertionError | None = None
    with (
        tempfile.TemporaryDirectory(prefix="tierline-faults-") as folder,
        Scene(Path(folder), Times(), arguments.seed, own_disk=True) as scene,
    ):
        chosen = list(possible(scene, chosen))

        def late() -> bool:
            return time.monotonic() - began > arguments.minutes * 60

        for number, fault in enumerate(in_turn(chosen, arguments.seed, late), start=1):
            try:
                outcome = run_round(scene, f"r{number}", [fault])
            except AssertionError as error:
                broken = error
                print(f"{number:3}  {fault.name}: given up: {error}", flush=True)
                break
            outcomes.append(outcome)
            print(said(number, outcome), flush=True)
    print(f"\nSEED={arguments.seed}, {(time.monotonic() - began) / 60:.1f} minutes")
    print(table(outcomes))
    allowed_s = Times().lease_s + RECOVERY_S
    slow = [each for each in outcomes if (each.recovery_s or 0.0) > allowed_s]
    for each in slow:
        print(f"later than {allowed_s:g} s: {' + '.join(each.faults)}")
    clean = all(outcome.balance.clean for outcome in outcomes)
    return 0 if clean and not slow and broken is None else 1


def in_turn(faults: list[Fault], seed: int, late: Callable[[], bool]) -> Iterator[Fault]:
    """All of them once, shuffled, and then again in other orders until it is late."""
    rng = random.Random(seed)
    yield from rng.sample(faults, len(faults))
    while faults:
        for fault in rng.sample(faults, len(faults)):
            if late():
                return
            yield fault


def said(number: int, outcome: Outcome) -> str:
    """One line for a round, and a line for each thing that is wrong with it."""
    books = outcome.balance
    lines = [
        f"{number:3}  {' + '.join(outcome.faults)}: {books.jobs} jobs, "
        f"{'clean' if books.clean else 'NOT CLEAN'}"
    ]
    if outcome.beside is not None:
        lines[0] += (
            f", p95 of the others {outcome.beside.beside_s:.2f} s beside it,"
            f" {outcome.beside.alone_s:.2f} s alone"
        )
    return "\n".join(lines + [f"       {problem}" for problem in books.problems])


if __name__ == "__main__":
    sys.exit(main())
