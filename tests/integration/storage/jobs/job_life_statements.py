"""Does each act of `job_life.py` by the statements that the product does it by."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from tests.integration.storage.jobs import job_life
from tests.integration.storage.jobs.job_life import ROUTE, Act
from tests.support.database.rows import two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.rules.verdicts import Verdict
from tierline.services.calls import attempt
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.running.attempt_end import AttemptEnd
from tierline.services.jobs.running.recover import expire_overdue, recover_lost, release
from tierline.services.jobs.running.settle import settle
from tierline.storage.db.repeat import again_if_moved
from tierline.storage.jobs import claims, finishes, hints
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Ended, Settlement

HELD = "SELECT FROM jobs WHERE claim_token = %s AND status = 'in_progress'"
OVERDUE = "SELECT FROM jobs WHERE status = 'queued' AND deadline_at <= clock_timestamp()"
FEATURE = two_tiers()


@dataclass
class Held:
    """A claim in a worker's hands. It may have been lost without the worker's knowledge."""

    claim: Claim
    number: int = 1  # of its call


class Statements:
    """What workers, callers and dispatchers do to jobs, and the claims that the workers hold."""

    def __init__(self, pool: ConnectionPool[Any], account: int) -> None:
        self.pool = pool
        self.account = account
        self.held: dict[UUID, Held] = {}  # by token

    def do(self, job_id: UUID, act: Act, twice: bool) -> None:
        """By the statements that the product does it by; twice, as after a cut connection."""
        self.once(job_id, act)
        if twice:
            self.once(job_id, act)

    def _look(self, look: Callable[[], object], left: str, *parameters: object) -> None:
        """As the watcher does, which leaves what is locked and looks again."""

        def done() -> bool:
            look()
            with self.pool.connection() as connection:
                return connection.execute(left, parameters).fetchone() is None

        wait_until(done, DEADLINE_S, "what was locked to be free", 0.001)

    def once(self, job_id: UUID, act: Act) -> None:
        match act:
            case job_life.TakeBack(token=token, lost=True):
                self._look(lambda: recover_lost(self.pool, {token: job_id}), HELD, token)
                return
            case job_life.TakeBack(token=token):
                release(self.pool, {token: job_id})
                return
            case job_life.Expire():
                self._look(lambda: expire_overdue(self.pool), OVERDUE)
                return
            case job_life.Finish():
                self._finish(act)
                return
        again_if_moved(lambda: self._execute(job_id, act))

    def _execute(self, job_id: UUID, act: Act) -> None:
        with self.pool.connection() as connection:
            match act:
                case job_life.Claim(token=token, queues=names):
                    taken = claims.claim(
                        connection, job_id, token, list(names), "test"
                    ) or claims.claimed(connection, job_id, token)
                    if taken is not None:
                        assert (taken.job_id, taken.token) == (job_id, token)
                        self.held[token] = Held(taken)
                case job_life.Book(token=token, number=number, cost_usd=cost):
                    paid = _settlement(number, cost)
                    held = self.held[token].claim
                    finishes.settle_and_book(connection, held, paid, "reask", "openai:small")
                case job_life.Cancel():
                    cancel(connection, self.account, job_id)
                case job_life.PassDeadline():
                    connection.execute(
                        "UPDATE jobs SET deadline_at = clock_timestamp() WHERE id = %s", (job_id,)
                    )
                case job_life.ComeDue():
                    connection.execute(
                        "UPDATE jobs SET run_after = clock_timestamp() WHERE id = %s", (job_id,)
                    )
                case job_life.Hint(lost=lost):
                    (hints.unmark if lost else hints.mark)(connection, [job_id])

    def _finish(self, act: job_life.Finish) -> None:
        taken = self.held[act.token].claim
        answered = act.verdict in {Verdict.PASSED, Verdict.SCHEMA}
        output = {"of": f"{taken.job_id}{taken.attempt}"} if answered else None
        settle(
            self.pool,
            attempt.Attempt(taken, FEATURE),
            AttemptEnd(
                act.outcome,
                Ended(
                    act.verdict,
                    None,
                    0.1,
                    "small-1",
                    "as given" if answered else None,
                    output,
                    answered,
                ),
            ),
            ROUTE,
            _settlement(act.number, act.cost_usd),
            keep_on=lambda: True,
        )


def _settlement(number: int, cost_usd: Decimal | None) -> Settlement:
    return Settlement(number, "answer", "openai:small", 0.1, "small-1", 10, cost_usd=cost_usd)
