"""The API keys that `up` makes: one for the run, revoked at its end, and the first admin key, once.

A run that was killed leaves its key behind; the next run of the same home revokes it.
"""

from dataclasses import dataclass

import psycopg

from tierline.base.errors import TierlineError
from tierline.services.accounts import accounts


@dataclass(frozen=True)
class Keys:
    """What was made, in clear; the database keeps digests only."""

    run: str
    first_admin: str | None  # only when this run made the first key of the database
    database_url: str
    name: str

    def revoke(self) -> None:
        """End the run's key. A database that is gone already leaves it to the next run."""
        try:
            accounts.revoke_run_key(self.database_url, self.name)
        except (psycopg.Error, TierlineError):
            return


class RunKeys:
    """Makes keys in one database for the runs of one home."""

    def __init__(self, database_url: str, home_tag: str) -> None:
        self._url = database_url
        self._name = f"tierline up {home_tag}"

    def make(self) -> Keys:
        """A fresh key for this run, the home's earlier ones revoked; the first admin's, once."""
        first = accounts.ensure_first_admin(self._url)
        return Keys(accounts.make_run_key(self._url, self._name), first, self._url, self._name)
