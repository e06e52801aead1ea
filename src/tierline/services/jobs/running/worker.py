"""What an attempt needs from its worker process."""

from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID


class Leases(Protocol):
    """The claims that the process's live threads hold, and sends heartbeats for."""

    def hold(self, token: UUID, job_id: UUID | None = None) -> AbstractContextManager[None]:
        """Send heartbeats for the token inside the block. `job_id`: the job that it claims; None:
        it claims a delivery.
        """

    def until(self, token: UUID, within_s: float) -> None:
        """Send heartbeats for the token for at most `within_s` seconds from now."""


class WakeUps(Protocol):
    """Wakes waiting callers and dispatchers, after the commit that changed a job."""

    def ready(self) -> None:
        """A job is queued."""

    def done(self, job_id: UUID) -> None:
        """A job has ended."""
