"""An account with jobs, and bulk actions on them."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.rows import add_account, add_feature, add_job, end_job, two_tiers
from tierline.features import Feature
from tierline.rules.bulk_actions import Action
from tierline.services.operations import bulk_actions
from tierline.services.operations.bulk_actions import BulkRequest, Filters
from tierline.services.operations.bulk_steps import step_bulk_action
from tierline.storage.db.engine import create_pool
from tierline.views.operations.bulk_actions import BulkAction

KEY = 7


class Scene:
    """An account with jobs of a feature, on a database of the test's own."""

    def __init__(self, db: Connection[Any], pool: ConnectionPool[Any], feature: Feature) -> None:
        self.db, self.pool, self.feature = db, pool, feature
        self.account = add_account(db, "acme")
        self.version = add_feature(db, feature)

    def jobs(self, count: int, status: str | None = None, **more: Any) -> list[UUID]:
        made = []
        for number in range(count):
            job = add_job(self.db, self.account, self.version, input={"text": f"{number}"}, **more)
            if status is not None:
                end_job(self.db, str(job), status)
            made.append(job)
        return made

    def begin(self, action: Action, limit: int | None = None, **filters: Any) -> UUID:
        request = BulkRequest(action, Filters(**filters), limit)
        made, new = bulk_actions.begin(self.db, self.account, KEY, request)
        assert new
        return made.id

    def run(self, id: UUID) -> BulkAction:
        for _ in range(100):
            step_bulk_action(self.db, id)
            bulk_action = bulk_actions.action_of(self.db, self.account, id)
            if bulk_action.status != "running":
                return bulk_action
        raise AssertionError("the action does not end")

    def made_from(self, id: UUID) -> list[str]:
        """The jobs that the action ran again, each as often as it did."""
        rows = self.db.execute(
            "SELECT decision #>> '{signals,of_job}' FROM job_requests"
            " WHERE decision #>> '{signals,bulk_action}' = %s",
            (str(id),),
        )
        return [job for (job,) in rows]

    def statuses(self, jobs: list[UUID]) -> set[str]:
        rows = self.db.execute("SELECT DISTINCT status FROM jobs WHERE id = ANY(%s)", (jobs,))
        return {status for (status,) in rows}


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 8) as pool:
        yield pool


@pytest.fixture
def scene(pool: ConnectionPool[Any]) -> Iterator[Scene]:
    with pool.connection() as db:
        yield Scene(db, pool, two_tiers())
