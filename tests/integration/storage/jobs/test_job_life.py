"""Jobs' lives that nobody thought of, by the real statements on a real Postgres.

Hypothesis makes the jobs and what several workers, callers and dispatchers do to them, one after
the other and at once. After each step every row must be what `job_life.py` says. What was done at
once must come out as if it had been done in some order. LIFE_EXAMPLES asks for more of them.
"""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg_pool import ConnectionPool

from tests.integration.storage.jobs import job_life
from tests.integration.storage.jobs.job_life import Act, Life
from tests.integration.storage.jobs.job_life_rows import read_life
from tests.integration.storage.jobs.job_life_statements import FEATURE, Statements
from tests.support.database.rows import add_account, add_feature
from tests.support.waiting import DEADLINE_S
from tierline.base.ids import new_id
from tierline.rules import queues
from tierline.rules.jobs import (
    TERMINAL,
    CheckFailed,
    FeatureFailed,
    JobState,
    Outcome,
    Passed,
    ProviderFailed,
    Status,
)
from tierline.rules.retries import Retry
from tierline.rules.verdicts import Verdict
from tierline.storage.db.engine import create_pool
from tierline.storage.jobs import job_reads
from tierline.storage.jobs.submissions import InsertResult, NewJob, insert_job
from tierline.storage.reports.usage import usage
from tierline.views.jobs.attempts import attempt_view, call_view

EXAMPLES = int(os.environ.get("LIFE_EXAMPLES", "15"))
STEPS = 30
MOST_JOBS = 4
MOST_AT_ONCE = 3

WORKERS = {
    "slm": (queues.SLM, queues.SLM_BACKFILL),
    "other slm": (queues.SLM, queues.SLM_BACKFILL),
    "deeper": (queues.DEEPER, queues.DEEPER_BACKFILL),
    "quarantine": (queues.QUARANTINE,),
    "all": queues.JOBS,
}

OUTCOMES: dict[str, tuple[Outcome, Verdict]] = {
    "passed": (Passed(), Verdict.PASSED),
    "wrong": (CheckFailed(Verdict.SCHEMA, "wrong"), Verdict.SCHEMA),
    "again": (
        ProviderFailed(Verdict.PROVIDER_ERROR, "refused", wait_s=900),
        Verdict.PROVIDER_ERROR,
    ),
    "billed": (ProviderFailed(Verdict.TIMEOUT, "late", Retry.ONCE, 1), Verdict.TIMEOUT),
    "busy": (
        ProviderFailed(Verdict.RATE_LIMITED, "later", Retry.HOLD, wait_s=900),
        Verdict.RATE_LIMITED,
    ),
    "never": (ProviderFailed(Verdict.PROVIDER_ERROR, "no", Retry.NEVER), Verdict.PROVIDER_ERROR),
    "broken": (FeatureFailed("a rule errs"), Verdict.FEATURE_ERROR),
}

# Each end of a job, which moves it to another partition (an insert there), and each change of one
# that has ended.
WATCH = """
CREATE TABLE endings (job_id uuid);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO endings VALUES (new.id);
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE OF status ON jobs FOR EACH ROW
    WHEN (old.status <> new.status
        AND (new.completed_at IS NOT NULL OR old.completed_at IS NOT NULL))
    EXECUTE FUNCTION watch();
CREATE TRIGGER watch_moves AFTER INSERT ON jobs FOR EACH ROW
    WHEN (new.completed_at IS NOT NULL) EXECUTE FUNCTION watch();
"""

FOREIGN_ANSWERS = "SELECT count(*) FROM answers WHERE output ->> 'of' <> job_id::text || attempt"
SERVED_WITHOUT_ANSWER = """
SELECT count(*) FROM jobs j LEFT JOIN answers a ON (a.job_id, a.attempt) = (j.id, j.answer_attempt)
WHERE (j.status = 'completed') <> (a.output IS NOT NULL)
"""


Pick = st.integers(0, 11)  # one of what there is then, counted round
ACTS = st.tuples(
    st.sampled_from(
        [
            *("claim", "claim", "claim", "book", "finish", "finish", "finish", "finish"),
            *("lose", "lose", "give back", "cancel", "deadline", "expire", "due", "due", "hint"),
        ]
    ),
    Pick,
    st.sampled_from(sorted(OUTCOMES)),
    st.booleans(),
)


class Lives(RuleBasedStateMachine):
    """Some jobs, what several workers hold of them, and what the rows must be."""

    pool: ConnectionPool[Any]
    url: str
    account: int
    version: int

    def __init__(self) -> None:
        super().__init__()
        self.lives: dict[UUID, Life] = {}
        self.statements = Statements(self.pool, self.account)
        self.paid = 0  # so that no two calls cost the same

    @initialize()
    def begin(self) -> None:
        with self.pool.connection() as connection:
            connection.execute("TRUNCATE jobs, attempts, calls, endings, idempotency_keys CASCADE")

    @precondition(lambda self: len(self.lives) < MOST_JOBS)
    @rule(hooked=st.booleans(), times=st.integers(1, 3))
    def submit(self, hooked: bool, times: int) -> None:
        """One job, by one key that is sent so often at once."""
        key = uuid4().hex
        news = [
            NewJob(
                job_id=new_id(),
                account_id=self.account,
                feature=FEATURE.name,
                version_id=self.version,
                tier="slm",
                tier_index=0,
                queue=queues.SLM,
                input={"text": "hello"},
                webhook_url="https://hooks.example.com/" if hooked else None,
                deadline_s=86_400.0,
                key=key,
                payload_hash=b"same",
            )
            for _ in range(times)
        ]
        written = [
            new
            for new, taken in zip(news, asyncio.run(self._insert(news)), strict=True)
            if taken.created_at is not None
        ]
        assert len(written) == 1
        self.lives[written[0].job_id] = Life(JobState(Status.QUEUED, 0), hooked)

    async def _insert(self, news: list[NewJob]) -> list[InsertResult]:
        async def one(new: NewJob) -> InsertResult:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as own:
                return await insert_job(own, new)

        return await asyncio.gather(*map(one, news))

    @precondition(lambda self: self.lives)
    @rule(job=Pick, acts=st.lists(ACTS, min_size=1, max_size=MOST_AT_ONCE))
    def happen(self, job: int, acts: list[tuple[str, int, str, bool]]) -> None:
        """One act, or several at once, on one job."""
        job_id = list(self.lives)[job % len(self.lives)]
        chosen: list[tuple[Act, bool]] = []
        busy: set[UUID] = set()  # a worker does one thing at a time
        for kind, pick, outcome, twice in acts:
            act = self._act(job_id, kind, pick, outcome, busy)
            if act is not None:
                chosen.append((act, twice))
        if len(chosen) == 1:
            self.statements.do(job_id, *chosen[0])
        elif chosen:
            self._at_once(job_id, chosen)
        self._learn(job_id, [act for act, _ in chosen])

    def _act(self, job_id: UUID, kind: str, pick: int, outcome: str, busy: set[UUID]) -> Act | None:
        match kind:
            case "claim":
                worker = list(WORKERS)[pick % len(WORKERS)]
                return job_life.Claim(uuid4(), tuple(WORKERS[worker]))
            case "cancel":
                return job_life.Cancel()
            case "deadline":
                return job_life.PassDeadline() if pick % 4 == 0 else None
            case "expire":
                return job_life.Expire()
            case "due":
                return job_life.ComeDue()
            case "hint":
                return job_life.Hint(lost=pick % 2 == 0)
        mine = [
            token
            for token, held in self.statements.held.items()
            if held.claim.job_id == job_id and token not in busy
        ]
        if not mine:
            return None
        token = mine[pick % len(mine)]
        if kind in {"lose", "give back"}:
            return job_life.TakeBack(token, lost=kind == "lose")
        busy.add(token)
        held = self.statements.held[token]
        self.paid += 1
        cost = Decimal(self.paid) / 1000
        if kind == "book":
            return job_life.Book(token, held.claim.attempt, held.number, cost)
        what, verdict = OUTCOMES[outcome]
        return job_life.Finish(
            token,
            held.claim.attempt,
            held.number,
            None if verdict is Verdict.TIMEOUT else cost,
            what,
            verdict,
        )

    def _at_once(self, job_id: UUID, chosen: list[tuple[Act, bool]]) -> None:
        start = threading.Barrier(len(chosen))

        def race(each: tuple[Act, bool]) -> None:
            start.wait(DEADLINE_S)
            self.statements.do(job_id, *each)

        with ThreadPoolExecutor(len(chosen)) as threads:
            list(threads.map(race, chosen))

    def _learn(self, job_id: UUID, acts: list[Act]) -> None:
        """What was done must have come out as in some order; that is what the job is now."""
        with self.pool.connection() as connection:
            life = read_life(connection, job_id)
        possible = job_life.in_any_order(self.lives[job_id], acts)
        assert life in possible, f"{acts}\nmade of {self.lives[job_id]}\n{life}"
        self.lives[job_id] = life
        for act in acts:
            match act:
                case job_life.Expire():  # of every job
                    for other in self.lives:
                        if other != job_id:
                            self.lives[other] = act.on(self.lives[other])
                case job_life.Book(token=token):
                    self.statements.held[token].number += 1
                case job_life.Finish(token=token):
                    del self.statements.held[token]

    @invariant()
    def every_row_is_as_it_must_be(self) -> None:
        with self.pool.connection() as connection:
            for job_id, life in self.lives.items():
                stored = read_life(connection, job_id)
                assert stored == life
                assert stored.endings == (stored.state.status in TERMINAL)
            assert connection.execute(FOREIGN_ANSWERS).fetchone() == (0,)
            assert connection.execute(SERVED_WITHOUT_ANSWER).fetchone() == (0,)

    def teardown(self) -> None:
        """All of it comes to an end, and the sums that callers are shown are those of its calls."""
        for token in list(self.statements.held):
            self._end(token)
        for job_id in self.lives:
            for _ in range(20):
                if self.lives[job_id].state.status in TERMINAL:
                    break
                claim = job_life.Claim(uuid4(), queues.JOBS)
                self._step(job_id, job_life.ComeDue())
                self._step(job_id, job_life.Expire())
                self._step(job_id, claim)
                if claim.token in self.statements.held:
                    self._end(claim.token)
            assert self.lives[job_id].state.status in TERMINAL
        self.every_row_is_as_it_must_be()
        self._sums()

    def _step(self, job_id: UUID, act: Act) -> None:
        self.statements.once(job_id, act)
        self._learn(job_id, [act])

    def _end(self, token: UUID) -> None:
        """A worker lives on: it ends its attempt, late or not. Whose lease stood is over then."""
        held = self.statements.held[token]
        self.paid += 1
        cost = Decimal(self.paid) / 1000
        act = job_life.Finish(
            token, held.claim.attempt, held.number, cost, Passed(), Verdict.PASSED
        )
        self._step(held.claim.job_id, act)

    def _sums(self) -> None:
        now = datetime.now(UTC)
        shown = unknown = Decimal(0)
        with self.pool.connection() as connection:
            for job_id, life in self.lives.items():
                costs = [call.cost_usd for _, call in life.calls]
                open_cost = sum((cost for cost in costs if cost is not None), Decimal(0))
                row = job_reads.job_row(connection, job_id)
                assert row is not None
                assert (row["cost_usd"], row["unknown_cost_calls"]) == (
                    open_cost,
                    costs.count(None),
                )
                of_calls = job_reads.call_rows(connection, job_id)
                for one in job_reads.attempt_rows(connection, job_id):
                    mine = [call_view(c) for c in of_calls if c["attempt"] == one["number"]]
                    view = attempt_view(one, mine)
                    open_cost -= view.cost_usd
                assert open_cost == 0
                shown += row["cost_usd"]
                unknown += costs.count(None)
            all_of_it = usage(
                connection, self.account, now - timedelta(days=1), now + timedelta(days=1), ()
            )
        if self.lives and any(life.calls for life in self.lives.values()):
            assert all_of_it[0].cost_usd == shown
            assert all_of_it[0].unknown_cost_calls == unknown


def test_a_jobs_life_is_what_the_model_says_whatever_happens_in_it(database_url: str) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        create_pool(database_url, "test", 8) as pool,
    ):
        connection.execute(WATCH)
        Lives.pool, Lives.url = pool, database_url
        Lives.account = add_account(connection, "acme")
        Lives.version = add_feature(connection, FEATURE)
        run_state_machine_as_test(
            Lives,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink),
                derandomize="LIFE_EXAMPLES" not in os.environ,
                database=None,
            ),
        )
