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
"""How long a thread keeps the interpreter before it switches. With Python's default of 5 ms the
consumer waits longest, because it is one of dozens of threads that wake for short times: 262 jobs/s
became 307."""


def main() -> int:
    """Run until a signal stops it. Exit code 0 after an orderly stop, 2 for invalid arguments."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Run a worker process.")
    parser.add_argument("--queues", required=True, help=f"comma-separated, of {queues.ALL}")
    parser.add_argument("--name", required=True, help="the name in Flower and in the logs")
    parser.add_argument(
        "--threads", type=whole, help="jobs at once; default TIERLINE_WORKER_THREADS"
    )
    arguments = parser.parse_args()
    names = tuple(name.strip() for name in arguments.queues.split(","))
    for name in names:
        if name not in queues.ALL:
            parser.error(f"there is no queue {name!r}: choose from {', '.join(queues.ALL)}")
    if arguments.threads is not None and arguments.threads < 1:
        parser.error("--threads: at least 1")
    try:
        logs.configure(arguments.name)
        threads = arguments.threads or settings().worker_threads
        check_database_url(settings().database)  # fail now and not at the first hint
        from workers.app import app
        from workers.process import install
    except TierlineError as error:
        print(f"tierline: {error.message}", file=sys.stderr)
        return 2
    sys.setswitchinterval(SWITCH_S)
    # Celery warns about root because of pickle, but only JSON is accepted here.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    install(arguments.name, names, threads)
    # Celery's own command would import all of its commands, and Flower's.
    running = app.Worker(
        hostname=f"{arguments.name}@{socket.gethostname()}",
        pool_cls="threads",
        concurrency=threads,
        queues=list(names),
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
