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
    limit_memory(settings().training_memory_mb)
    return _do(UUID(argv[0]))


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


def _do(token: UUID) -> int:
    import structlog

    from tierline.base.errors import TierlineError
    from tierline.base.logs import frames_of
    from tierline.base.settings import settings
    from tierline.rules import operations as rules
    from tierline.services.operations.kinds import run_of
    from tierline.services.operations.work import Superseded, Work
    from tierline.storage.db.engine import create_pool
    from tierline.storage.db.repeat import PASSING
    from tierline.storage.operations import operations

    log = structlog.get_logger(__name__)
    with create_pool(settings().database, "operation", 2, checked=True) as pool:
        try:
            with pool.connection() as connection:
                row = operations.claimed(connection, token)
            if row is None:
                return rules.DONE
            work = Work(pool, token, row["feature"], row["options"], row["readable_account_id"])
            try:
                run_of(row["kind"])(work)
            except ImportError as missing:
                failure = rules.extra_missing(missing.name or "a library")
            except TierlineError as error:
                failure = rules.refused(error)
            else:
                return rules.DONE
            with pool.connection() as connection:
                operations.fail(connection, token, failure)
        except Superseded:
            return rules.DONE
        except MemoryError:
            return rules.OUT_OF_MEMORY
        except PASSING as error:
            log.warning("database_away", error=type(error).__name__)
            return rules.AWAY
        except Exception as error:
            log.error("operation_crashed", error=type(error).__name__, at=frames_of(error))
            return rules.CRASHED
    return rules.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
