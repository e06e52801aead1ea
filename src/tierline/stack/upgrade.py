"""Upgrades a database to this release: migrations, and the first admin key; lists its partitions,
and examines its rows.

It works on the database directly, because the API does not serve an unmigrated one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tierline.base.errors import Unavailable
from tierline.services.accounts import accounts
from tierline.services.upkeep.doctor import Checked, examine
from tierline.services.upkeep.history import PartitionState, states
from tierline.storage.db import migrate
from tierline.storage.db.engine import connect


@dataclass(frozen=True)
class Upgraded:
    """The result of an upgrade."""

    before: str | None  # the revision; None: the database was empty
    after: str
    operators: list[dict[str, Any]]  # the keys that got the operator scope

    def notes(self) -> list[str]:
        """Lines for people about those keys."""
        return accounts.operator_key_notes(self.operators)


def upgrade(database_url: str, report: Callable[[str], None] = lambda _: None) -> Upgraded:
    """Migrate forward. Safe to interrupt, to repeat, and to run several times at once.

    `report` gets lines about the progress. Raises Conflict for a database of a later release,
    Unavailable if it does not answer or other transactions kept a migration from a lock.
    """
    with _answering():
        before, after = migrate.upgrade(database_url, report)
        return Upgraded(before, after, accounts.became_operators(database_url, before))


def first_admin_key(database_url: str) -> str | None:
    """A new operator's key as plain text if no valid one exists; else None. Raises Unavailable."""
    with _answering():
        return accounts.ensure_first_admin(database_url)


def list_partitions(database_url: str) -> list[PartitionState]:
    """The partitions of history, with what keeps each. Raises Unavailable."""
    with _answering(), connect(database_url, "partitions") as connection:
        return states(connection)


def examine_database(database_url: str, days: float, within_s: float) -> list[Checked]:
    """What does not fit together in the database. Raises Unavailable."""
    with _answering(), connect(database_url, "doctor") as connection:
        return list(examine(connection, days, within_s))


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except migrate.DOES_NOT_ANSWER as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise Unavailable(f"the database of DATABASE_URL does not answer: {reason}") from None
