"""Bringing a database to this release: migrating it, and making the first admin key.

On the database itself, since the API does not serve one that is not migrated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tierline.base.errors import Unavailable
from tierline.services.accounts import accounts
from tierline.storage.db import migrate


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did."""

    before: str | None  # the revision; None: the database was empty
    after: str
    operators: list[dict[str, Any]]  # the keys that it made operators' keys

    def notes(self) -> list[str]:
        """What to say to a person of those keys, line by line."""
        return accounts.said_of_operators(self.operators)


def upgrade(database_url: str) -> Upgraded:
    """Migrate forward. Safe to run again and from several places at once.

    Raises Conflict for a database of a later release, Unavailable where it does not answer.
    """
    with _answering():
        before, after = migrate.upgrade(database_url)
        return Upgraded(before, after, accounts.became_operators(database_url, before))


def first_admin_key(database_url: str) -> str | None:
    """An operator's key in clear, where no operator's key holds; else None. Raises Unavailable."""
    with _answering():
        return accounts.ensure_first_admin(database_url)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except migrate.DOES_NOT_ANSWER as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise Unavailable(f"the database of DATABASE_URL does not answer: {reason}") from None
