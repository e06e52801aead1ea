"""Whose turn it is in each queue, as the dispatcher that leads remembers and stores it."""

import time
from typing import Any

from psycopg import Connection

from tierline.rules.scheduling import Turns
from tierline.storage.jobs import hints

STORE_S = 1.0  # how much of the turns is lost if the dispatcher is killed


class StoredTurns:
    """The turns by queue. A dispatcher without the lead reads and stores them at each choice."""

    def __init__(self) -> None:
        self._leads = False
        self._turns: dict[str, Turns] = {}
        self._stored_s: dict[str, float] = {}  # when they were stored, monotonic

    def begin(self, *, leads: bool) -> None:
        """Forget the turns: another dispatcher may have changed them."""
        self._leads = leads
        self._turns = {}

    def read(self, connection: Connection[Any], queue: str) -> Turns:
        turns = self._turns.get(queue) if self._leads else None
        return turns or hints.read_turns(connection, queue)

    def write(self, connection: Connection[Any], queue: str, turns: Turns) -> None:
        """The dispatcher that leads stores them only now and then, for the next one: beside a held
        snapshot, each version of their row would stay.
        """
        now_s = time.monotonic()
        if not self._leads or now_s - self._stored_s.get(queue, 0.0) >= STORE_S:
            hints.write_turns(connection, queue, turns)
            self._stored_s[queue] = now_s
        self._turns[queue] = turns
