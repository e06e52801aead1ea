"""A database with an account and a feature, and a receiver on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tests.support.fake_servers.webhook_receiver import Receiver, receiving
from tierline.base.settings import Settings
from tierline.services.webhooks.announce import announce
from tierline.services.webhooks.deliver import deliver
from tierline.services.webhooks.dispatch import choose_due
from tierline.services.webhooks.endpoints import add_endpoint
from tierline.storage.db.engine import create_pool
from tierline.webhooks.addresses import Reach

Db = Connection[Any]
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 16) as opened:
        yield opened


@pytest.fixture
def db(pool: ConnectionPool[Any]) -> Iterator[Db]:
    with pool.connection() as connection:
        yield connection


@pytest.fixture
def account(db: Db) -> int:
    return add_account(db, "acme")


@pytest.fixture
def version(db: Db) -> int:
    return add_feature(db, two_tiers())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def config() -> Settings:
    return Settings(webhook_allow=LOOPBACK, webhook_timeout_s=10.0)


class NoLeases:
    """A worker process whose heartbeat is not the matter; it keeps which tokens were held."""

    def __init__(self) -> None:
        self.held: list[UUID] = []
        self.limited: list[UUID] = []

    @contextmanager
    def hold(self, token: UUID, job_id: UUID | None = None) -> Iterator[None]:
        self.held.append(token)
        yield

    def until(self, token: UUID, within_s: float) -> None:
        self.limited.append(token)


@dataclass
class Scene:
    """What most of these tests need: jobs that end, and their webhooks."""

    pool: ConnectionPool[Any]
    db: Db
    account: int
    version: int
    config: Settings

    def end_job(
        self, *, url: str | None = None, account: int | None = None, **columns: Any
    ) -> UUID:
        """A job that is completed with its deliveries, in one transaction."""
        job_id = add_job(
            self.db, self.account if account is None else account, self.version, **columns
        )
        self.db.execute("UPDATE job_requests SET webhook_url = %s WHERE job_id = %s", (url, job_id))
        with self.db.transaction():
            self.db.execute(
                "UPDATE jobs SET status = 'completed', completed_at = clock_timestamp()"
                " WHERE id = %s",
                (job_id,),
            )
            announce(self.db, "job.completed", job_id)
        return job_id

    def add_endpoint(self, url: str, **options: Any) -> tuple[UUID, str]:
        """A registered endpoint: its id and secret."""
        made, secret = add_endpoint(
            self.db, self.account, url=url, reach=Reach(LOOPBACK), **options
        )
        return made.id, secret

    def choose(self, room: int = 100) -> list[UUID]:
        return choose_due(self.db, room, 0, self.config.webhook_max_in_flight)

    def deliver(self, delivery_id: UUID, **options: Any) -> None:
        deliver(self.pool, delivery_id, NoLeases(), self.config, **options)

    def deliver_due(self) -> list[UUID]:
        """One round of what a dispatcher and a worker do together."""
        chosen = self.choose()
        for delivery_id in chosen:
            self.deliver(delivery_id)
        return chosen

    def forward(self, seconds: float) -> None:
        """Let time pass for everything that waits."""
        self.db.execute(
            "UPDATE deliveries SET next_try_at = next_try_at - make_interval(secs => %s)",
            (seconds,),
        )

    def row(self, delivery_id: UUID) -> dict[str, Any]:
        cursor = self.db.execute("SELECT * FROM deliveries WHERE id = %s", (delivery_id,))
        row = cursor.fetchone()
        assert row is not None
        assert cursor.description is not None
        return dict(zip([column.name for column in cursor.description], row, strict=True))

    def wait_s(self, delivery_id: UUID) -> float:
        """Seconds to the next try."""
        row = self.db.execute(
            "SELECT extract(epoch FROM next_try_at - clock_timestamp())::float8"
            " FROM deliveries WHERE id = %s",
            (delivery_id,),
        ).fetchone()
        assert row is not None
        return float(row[0])


@pytest.fixture
def scene(pool: ConnectionPool[Any], db: Db, account: int, version: int, config: Settings) -> Scene:
    return Scene(pool, db, account, version, config)
