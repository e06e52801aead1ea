"""What the attempts of a worker process ask of it."""

from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID


class Leases(Protocol):
    """The claims that the process's live threads hold, and beats for."""

    def hold(self, token: UUID) -> AbstractContextManager[None]:
        """Beat for the token inside the block."""

    def until(self, token: UUID, within_s: float) -> None:
        """Beat for it for at most `within_s` seconds from now on."""


class WakeUps(Protocol):
    """Wakes those who wait, after the commit that moved a job."""

    def ready(self) -> None:
        """A job is queued."""

    def done(self, job_id: UUID) -> None:
        """A job has ended."""
