"""A job's steps, one after another on one database, each by the product's own function and timed.

What is measured is what the database does: there is no broker, no worker and no model.
"""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

from benchmarks.backlog import fill
from tierline.base.ids import new_id
from tierline.rules.jobs import JobState, Passed, Route, Status, next_state
from tierline.rules.queues import lane
from tierline.rules.verdicts import Verdict
from tierline.services.jobs.dispatching.dispatch import Dispatch
from tierline.services.processes.connections import dispatcher_pool, worker_pool
from tierline.storage.jobs import claims, finishes
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Ended, Settlement, Standing

CHOOSE, CLAIM, FINISH = "choose", "claim", "finish"
STEPS = (CHOOSE, CLAIM, FINISH)
QUEUES = [lane(0, backfill=False), lane(0, backfill=True)]
SEARCH_S = 1.0
POOL = QUEUES[0]  # the dispatcher's pool of these two lanes
TEXT = "hello " * 41  # an input of 258 bytes of JSON
ANSWER = {"text": "hello"}
ENDED = Ended(Verdict.PASSED, None, 0.05, "small-1", '{"text": "hello"}', ANSWER, True)
SETTLED = Settlement(
    1,
    "answer",
    "openai:small",
    0.05,
    "small-1",
    input_tokens=100,
    output_tokens=10,
    cost_usd=Decimal("0.0001"),
)


class Steps:
    """Takes jobs through choice, claim and finish. `seconds` has what each took, in order."""

    def __init__(
        self, pool: ConnectionPool[Any], choosing: psycopg.Connection[Any], version: int
    ) -> None:
        self.pool = pool  # a worker's connections
        self._choosing = choosing  # of the dispatcher that leads
        self.seconds: Mapping[str, list[float]] = defaultdict(list)
        self._version = version
        self._dispatch = Dispatch(spare=4)
        if not self._dispatch.lead(choosing):
            raise SystemExit("another dispatcher leads in the benchmark's own database")
        # A dispatcher is never idle for long; a benchmark is, while it does something else.
        choosing.execute("SET idle_session_timeout = 0")

    def cycle(self, accounts: Sequence[int], jobs: int) -> None:
        """Submit as many jobs, and choose, claim and finish each."""
        with self.pool.connection() as connection:
            fill(connection, accounts, self._version, jobs, text=TEXT)
        left = jobs
        while left:
            chosen = self.choose(left)
            if not chosen:
                raise SystemExit(f"{left} jobs wait, and none is chosen")
            left -= len(chosen)
            for claim in [self.claim(one) for one in chosen]:
                self.finish(claim)

    def choose(self, threads: int) -> list[UUID]:
        """The jobs that get a hint while so many threads are free."""
        with self._timed(CHOOSE):
            self._dispatch.look(self._choosing)
            choice = self._dispatch.choose_on(self._choosing, POOL, threads)
        return list(choice.queue_of)

    def claim(self, job_id: UUID) -> Claim:
        with self._timed(CLAIM), self.pool.connection() as connection:
            claim = claims.claim(connection, job_id, new_id(), QUEUES, "benchmark")
        if claim is None:
            raise SystemExit(f"job {job_id} was chosen and cannot be claimed")
        return claim

    def finish(self, claim: Claim) -> None:
        transition = next_state(
            JobState(Status.IN_PROGRESS, claim.tier_index), Passed(), Route(tiers=(0, 1))
        )
        assumed = Standing(Status.IN_PROGRESS, claim.token, False, False, False, None)
        with self._timed(FINISH), self.pool.connection() as connection:
            done = finishes.finish(
                connection,
                claim,
                tier="slm",
                queue=claim.queue,
                transition=transition,
                assumed=assumed,
                ended=ENDED,
                settled=SETTLED,
                announced=False,
            )
        if not done:
            raise SystemExit(f"job {claim.job_id} could not be finished")

    def take(self) -> dict[str, list[float]]:
        """What the steps took since the last time, sorted."""
        taken = {step: sorted(self.seconds[step]) for step in STEPS}
        self.seconds = defaultdict(list)
        return taken

    @contextlib.contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began_s = time.perf_counter()
        yield
        self.seconds[step].append(time.perf_counter() - began_s)

    def search_until(self, stopped: threading.Event, pool: ConnectionPool[Any]) -> None:
        """What a dispatcher does in a thread beside its choices."""
        while not stopped.wait(SEARCH_S):
            self._dispatch.search(pool)


@contextlib.contextmanager
def steps(database_url: str, version: int) -> Iterator[Steps]:
    """On connections of their own, as the product's processes have them."""
    stopped = threading.Event()
    with (
        worker_pool(database_url, "benchmark", 2, by_index=True) as pool,
        dispatcher_pool(database_url, "benchmark", 2) as choosing,
        choosing.connection() as leading,
        ThreadPoolExecutor(1) as beside,
    ):
        taken = Steps(pool, leading, version)
        searching = beside.submit(taken.search_until, stopped, choosing)
        try:
            yield taken
        finally:
            stopped.set()
        searching.result()
