"""The API keys that `up` makes: one for the run, revoked at its end, and once the first admin key.

A run that was killed leaves its key valid; the next run of the same home revokes it.
"""

from dataclasses import dataclass

import psycopg

from tierline.base.errors import TierlineError
from tierline.services.accounts import accounts


@dataclass(frozen=True)
class Keys:
    """The new keys as plain text; the database has only digests."""

    run: str
    first_admin: str | None  # set only if this run made the first key of the database
    database_url: str
    name: str

    def revoke(self) -> None:
        """Revoke the run's key. If the database is gone already, the next run does it."""
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
        """A new key for this run, after the home's earlier ones are revoked; once, the first admin
        key.
        """
        first = accounts.ensure_first_admin(self._url)
        return Keys(accounts.make_run_key(self._url, self._name), first, self._url, self._name)
