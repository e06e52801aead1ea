"""What only the worker of the queue `maintenance` does: the sweep, the steps of evaluations and of
bulk actions, and the rounds of rounds.py.

The other workers do not import it. It would take a fifteenth of their start and 5 MB of each.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from tierline.services.evidence.evaluation.evaluation_steps import step_due
from tierline.services.evidence.watch.drift import Drift
from tierline.services.operations.bulk_steps import step_bulk_action
from tierline.services.upkeep.history import History
from tierline.services.upkeep.sweep import sweep
from workers.rounds import read_files, roll_up


class Maintenance:
    """The state of maintenance in a worker process. `look`: the least time between two looks for
    drift.
    """

    def __init__(self, pool: ConnectionPool[Any], look: timedelta) -> None:
        self._pool = pool
        self._drift = Drift(pool, look)
        self._history = History()
        self._rounds = (roll_up(pool), read_files(pool))

    def start(self) -> None:
        for rounds in self._rounds:
            rounds.start()

    def stop(self) -> None:
        for rounds in self._rounds:
            rounds.stop()

    def sweep(self) -> None:
        """Remove what is no longer needed."""
        sweep(self._pool, self._drift, self._history)

    def step_evaluation(self, evaluation_id: int) -> bool:
        """Make the next step of an evaluation. Returns whether jobs were queued."""
        with self._pool.connection() as connection:
            return bool(step_due(connection, evaluation_id))

    def step_bulk(self, bulk_action_id: UUID) -> bool:
        """Make the next step of a bulk action. Returns whether it did something to a job."""
        with self._pool.connection() as connection:
            return bool(step_bulk_action(connection, bulk_action_id))
