"""The process for long operations, such as trainings: `python -m workers.trainer`.

It runs one operation at a time, in a child process. Several trainers may run. It needs Postgres and
no broker.
"""

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

import psycopg
import structlog

from tierline.base import lean_start, logs
from tierline.base.errors import TierlineError
from tierline.base.settings import settings
from tierline.services.operations.kinds import KINDS
from tierline.services.operations.runner import Runner, child_command
from tierline.services.processes.connections import worker_pool
from tierline.stack.processes.bound import start_bound

log = structlog.get_logger(__name__)


def main(command: Callable[[UUID], Sequence[str]] = child_command) -> int:
    """Run until SIGTERM or Ctrl-C; exit code 2 if a setting is missing."""
    try:
        logs.configure("trainer")
        config = settings()
        pool = worker_pool(config.database, "trainer", 2, checked=True)
    except TierlineError as error:
        print(f"tierline: {error.message}", file=sys.stderr)
        return 2
    stopping = threading.Event()

    def stop(*_: object) -> None:
        # Not here: this thread may hold the lock of the event.
        threading.Thread(target=stopping.set, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with pool:
        lean_start.finish()
        log.info("trainer_ready")
        try:
            Runner(pool, config, KINDS, start_bound, command).run(stopping)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            print(
                "trainer: the database is not at this version: run 'tierline db upgrade'",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
