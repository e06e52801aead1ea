"""A trainer with the operations of a test: `python -m tests.support.processes.small_trainer`.

It is the product's own runner and child; only the kinds of operations are these.
"""

import os
import sys
from pathlib import Path
from uuid import UUID

from tests.support.waiting import wait_until
from tierline.base.errors import Conflict
from tierline.services.operations import child
from tierline.services.operations.kinds import KINDS
from tierline.services.operations.work import Work
from workers import trainer

WAITS_S = 120.0  # longer than any test follows an operation

KINDS.clear()
KINDS.update(
    {
        kind: ("tests.support.processes.small_trainer", kind)
        for kind in ("follow", "refuse", "hog", "abort", "break_off", "lack", "count")
    }
)


def command(token: UUID) -> list[str]:
    return [sys.executable, "-m", "tests.support.processes.small_trainer", str(token)]


def follow(work: Work) -> None:
    """Note this process's id, and complete once a file is there."""
    work.progress("waiting", 1, 3)
    folder = Path(str(work.options["folder"]))
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    wait_until((folder / "go").exists, WAITS_S, "the test's word to go on")
    with work.pool.connection() as connection, connection.transaction():
        work.complete(connection, {"id": "7"})


def count(work: Work) -> None:
    """Complete at once, and leave a line."""
    with work.pool.connection() as connection, connection.transaction():
        connection.execute("INSERT INTO done (feature) VALUES (%s)", (work.feature,))
        work.complete(connection, {"id": work.feature})


def refuse(work: Work) -> None:
    raise Conflict("not enough data: 3 inputs have a label")


def hog(work: Work) -> None:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def abort(work: Work) -> None:
    os.abort()


def break_off(work: Work) -> None:
    raise ValueError("a text that may hold an input")


def lack(work: Work) -> None:
    raise ImportError(name="sklearn")


if __name__ == "__main__":
    sys.exit(child.main(sys.argv[1:]) if sys.argv[1:] else trainer.main(command))
