"""An executor as a worker process holds it, on a real Postgres, with a model server on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job
from tests.support.fake_servers.model_server import ModelServer, Reply
from tierline import providers
from tierline.base.settings import settings
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.services.calls.admission import Admission
from tierline.services.calls.embedding import Embedding
from tierline.services.jobs.running.execute import Executor
from tierline.storage.db.engine import create_pool

FEATURE = """
feature: {name}
description: Reads an amount.
instructions: Give the amount.
input:
  type: object
  required: [text]
  properties: {{text: {{type: string}}}}
output:
  type: object
  required: [amount]
  properties: {{amount: {{type: number}}}}
{more}
tiers:
  - name: slm
    models: {models}
    max_tokens: 50
    timeout_s: 5
{slm}
  - name: frontier
    models: [openai:large]
    max_tokens: 50
    timeout_s: 5
"""
RIGHT = '{"amount": 12.5}'
PRICED = """
    prices:
      openai:small: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.4}
"""


def by_model(**answers: Reply | str) -> Any:
    """An answer for each model."""
    return lambda body: answers[body["model"]]


class NoLeases:
    """Leases that are never looked at."""

    @contextmanager
    def hold(self, token: UUID, job_id: UUID | None = None) -> Iterator[None]:
        yield

    def until(self, token: UUID, within_s: float) -> None:
        pass


@dataclass
class WakeUps:
    """Remembers who was woken."""

    ended: list[UUID] = field(default_factory=list)
    readied: int = 0

    def ready(self) -> None:
        self.readied += 1

    def done(self, job_id: UUID) -> None:
        self.ended.append(job_id)


class NoEmbedding(Embedding):
    """That of a process without the extra `routing`: these tests need no vectors."""

    def of(self, text: str) -> None:
        return None


@dataclass
class Bench:
    """Everything that a test of a worker's services needs."""

    pool: ConnectionPool[Any]
    executor: Executor
    server: ModelServer
    account: int
    wake_ups: WakeUps
    numbers: Iterator[int]

    def apply(
        self, more: str = "", slm: str = "", models: str = "[openai:small]"
    ) -> tuple[int, Feature]:
        """A feature of its own; the id of its version."""
        text = FEATURE.format(
            name=f"amount-{next(self.numbers)}", more=more, slm=slm, models=models
        )
        feature = parse_feature(text)
        with self.pool.connection() as connection:
            return add_feature(connection, feature), feature

    def submit(self, version: int, text: str = "it costs 12.50", **columns: Any) -> UUID:
        with self.pool.connection() as connection:
            return add_job(connection, self.account, version, input={"text": text}, **columns)

    def run(self, job: UUID, times: int = 1) -> None:
        """Run so many attempts, one after the other."""
        for _ in range(times):
            self.executor.run(job)

    def one(self, statement: str, *arguments: object) -> Any:
        rows = self.all(statement, *arguments)
        assert rows
        return rows[0] if len(rows[0]) > 1 else rows[0][0]

    def all(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self.pool.connection() as connection:
            return connection.execute(statement, arguments).fetchall()

    def job(self, job: UUID) -> dict[str, Any]:
        names = [
            *("status", "tier", "tier_index", "queue", "failures", "losses", "model"),
            *("unverified", "error_code", "error_message", "escalation_reason", "attempts"),
            "answer_attempt",
        ]
        row = self.one(f"SELECT {', '.join(names)} FROM jobs WHERE id = %s", job)
        return dict(zip(names, row, strict=True))

    def verdicts(self, job: UUID) -> list[str | None]:
        rows = self.all("SELECT verdict FROM attempts WHERE job_id = %s ORDER BY number", job)
        return [verdict for (verdict,) in rows]

    def calls(self, job: UUID) -> list[tuple[Any, ...]]:
        """(purpose, model, cost) in order."""
        return self.all(
            "SELECT purpose, model, cost_usd FROM calls WHERE job_id = %s ORDER BY attempt, number",
            job,
        )


@pytest.fixture(scope="module")
def module_bench(database_url: str, redis_url: str) -> Iterator[Bench]:
    with ModelServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database_url)
        patch.setenv("REDIS_URL", redis_url)
        patch.setenv("OPENAI_BASE_URL", server.url)
        patch.delenv("OPENAI_API_KEY", raising=False)
        patch.setenv("TIERLINE_RETRY_BASE_S", "0")
        settings.cache_clear()
        providers.close()
        with create_pool(database_url, "test", 16) as pool:
            with pool.connection() as connection:
                account = add_account(connection, "acme")
            wake_ups = WakeUps()
            executor = Executor(
                pool=pool,
                settings=settings(),
                queues=("slm", "slm-backfill", "deeper-analysis", "quarantine"),
                worker="test",
                leases=NoLeases(),
                wake_ups=wake_ups,
                stopping=lambda: False,
                embedding=NoEmbedding(),
            )
            numbers = iter(range(1, 10_000))
            yield Bench(pool, executor, server, account, wake_ups, numbers)
        providers.close()
    settings.cache_clear()


@pytest.fixture
def bench(module_bench: Bench) -> Bench:
    """The module's bench. What one test's models did is not held against the next one's."""
    module_bench.all("DELETE FROM circuits RETURNING model")
    module_bench.executor.admission = Admission(module_bench.pool, module_bench.executor.settings)
    return module_bench
