"""The child process that does one operation: `python -m tierline.services.operations.child TOKEN`.

It is nice to the rest of the machine and bounded in memory. It reads its rows and keeps its result
itself, under the token that its parent claimed; the parent keeps the lease. How it ended is in the
operation's row, or in its exit code (rules/operations.py).
"""

import os
import sys
from uuid import UUID

NICENESS = 10
MIB = 1024 * 1024


def main(argv: list[str]) -> int:
    """Returns an exit code of rules/operations.py."""
    os.nice(NICENESS)
    from tierline.base import logs
    from tierline.base.settings import settings

    logs.configure("trainer")
    config = settings()
    limit_memory(config.training_memory_mb)
    from tierline.services.operations.do import do
    from tierline.storage.db.engine import create_pool

    with create_pool(config.database, "operation", 2, checked=True) as pool:
        return do(pool, UUID(argv[0]))


def limit_memory(most_mb: int) -> None:
    """Let this process hold so much memory of its own, in MiB: asking for more fails here, before
    the rest of the machine is short of it. Files and programs that are mapped do not count. A
    system that knows no such limit (macOS) goes without.
    """
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_DATA, (most_mb * MIB, most_mb * MIB))
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
