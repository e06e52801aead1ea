"""`python -m workers --queues slm,slm-backfill --name slm`: one worker process."""

import argparse
import socket
import sys
import warnings

from celery.exceptions import SecurityWarning

from tierline.base import logs
from tierline.base.digits import whole
from tierline.base.errors import TierlineError
from tierline.base.settings import settings
from tierline.rules import queues
from tierline.services.processes.connections import check_database_url

SWITCH_S = 0.001
"""How long a thread keeps the interpreter before another gets it. With Python's 5 ms the consumer,
one thread among dozens that wake for a moment each, waits longest: 262 jobs/s became 307."""


def main() -> int:
    """Run until told to stop. Exit code 0 after an orderly stop, 2 for unfit arguments."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Run a worker process.")
    parser.add_argument("--queues", required=True, help=f"comma-separated, of {queues.ALL}")
    parser.add_argument("--name", required=True, help="what Flower and the logs call it")
    parser.add_argument(
        "--threads", type=whole, help="jobs at once; default TIERLINE_WORKER_THREADS"
    )
    arguments = parser.parse_args()
    wanted = tuple(name.strip() for name in arguments.queues.split(","))
    for name in wanted:
        if name not in queues.ALL:
            parser.error(f"there is no queue {name!r}: choose from {', '.join(queues.ALL)}")
    if arguments.threads is not None and arguments.threads < 1:
        parser.error("--threads: at least 1")
    try:
        logs.configure(arguments.name)
        threads = arguments.threads or settings().worker_threads
        check_database_url(settings().database)  # said now rather than at the first hint
        from workers.app import app
        from workers.pool import TaskPool
        from workers.process import install
    except TierlineError as error:
        print(f"tierline: {error.message}", file=sys.stderr)
        return 2
    sys.setswitchinterval(SWITCH_S)
    # Celery warns of root because of pickle; only JSON is accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    install(arguments.name, wanted, threads)
    # Celery's own command would import every command there is, Flower's too.
    running = app.Worker(
        hostname=f"{arguments.name}@{socket.gethostname()}",
        pool_cls=TaskPool,
        concurrency=threads,
        queues=list(wanted),
        task_events=True,
        without_gossip=True,
        without_mingle=True,
        loglevel="WARNING",
        quiet=True,
    )
    running.start()
    return int(running.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
