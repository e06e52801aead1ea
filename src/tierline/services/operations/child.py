"""The child process that does one operation: `python -m tierline.services.operations.child TOKEN`.

It runs at a low CPU priority and with limited memory. It reads its rows and stores its result
itself, with the claim token of its parent. The parent keeps the lease. The result is in the
operation's row, or in the exit code (rules/operations.py).
"""

import os
import sys
from uuid import UUID

NICENESS = 10
MIB = 1024 * 1024


def main(argv: list[str]) -> int:
    """Do the operation. Returns an exit code of rules/operations.py."""
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
    """Limit the private memory of this process to `most_mb` MiB. A larger allocation fails in this
    process, before the machine runs out of memory. Mapped files and programs do not count. On a
    system without such a limit (macOS) nothing is limited.
    """
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_DATA, (most_mb * MIB, most_mb * MIB))
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
