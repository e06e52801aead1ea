"""The wake-ups between the processes: that jobs are ready, that jobs ended.

A wake-up is sent after the commit, on a connection of its own, and may be lost: who waits for one
polls as well.
"""

from typing import Any

from psycopg import Connection

from tierline.storage.db.notify import DONE, READY, Notifier, listen
from tierline.storage.db.wake_ups import EndedJobs, ReadyNotifier

__all__ = ["EndedJobs", "Notifier", "ReadyNotifier", "listen_for_work"]


def listen_for_work(url: str, name: str) -> Connection[Any]:
    """A connection that hears when a dispatcher may have something to choose, or a job ended."""
    return listen(url, name, READY, DONE)
