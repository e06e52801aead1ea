"""Runs one claimed operation to its end."""

from typing import Any
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from tierline.base.embeddings import EmbeddingMissing
from tierline.base.errors import TierlineError
from tierline.base.logs import frames_of
from tierline.rules import operations as rules
from tierline.services.operations.kinds import run_of
from tierline.services.operations.work import Superseded, Work
from tierline.storage.db.repeat import PASSING
from tierline.storage.operations import operations

log = structlog.get_logger(__name__)


def do(pool: ConnectionPool[Any], token: UUID) -> int:
    """Do the operation that the token holds. Stores its result, or the reason why there is none.

    Returns an exit code of rules/operations.py: DONE, unless the operation is still open.
    """
    try:
        with pool.connection() as connection:
            row = operations.claimed(connection, token)
        if row is None:
            return rules.DONE
        work = Work(pool, token, row["feature"], row["options"], row["readable_account_id"])
        failure = _run(row["kind"], work)
        if failure is not None:
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


def _run(kind: str, work: Work) -> rules.Failure | None:
    """Run the operation. Returns why it failed, or None if it completed."""
    try:
        run_of(kind)(work)
    except ImportError as missing:
        return rules.extra_missing(missing.name or "a library")
    except EmbeddingMissing as missing:
        return rules.Failure(rules.EXTRA_MISSING, missing.message)
    except TierlineError as error:
        return rules.refused(error)
    return None
