"""A cost that comes after the call was counted as of unknown cost is in the sums, once."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.database.finished import PAID, RIGHT
from tests.support.database.past import Past, id_at, past_weeks
from tests.support.database.rows import add_job, two_tiers
from tests.support.database.sums import roll_up_all
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.rules.jobs import Passed, Route
from tierline.rules.partitions import WEEK
from tierline.services.calls.attempt import Attempt
from tierline.services.jobs.running.attempt_end import AttemptEnd
from tierline.services.jobs.running.settle import settle
from tierline.services.upkeep.history import History
from tierline.storage.jobs import claims
from tierline.storage.jobs.claims import Claim
from tierline.storage.reports.floors import LOWEST
from tierline.storage.reports.late_costs import LateCost, may_be_counted
from tierline.storage.reports.roll_up import roll_up_left

COST = PAID.cost_usd
END = AttemptEnd(Passed(), RIGHT)
NO_ROUTE = Route(tiers=())
SUMS = """
SELECT coalesce(sum(cost_usd), 0), coalesce(sum(calls), 0), coalesce(sum(unknown_cost_calls), 0)
FROM {table} WHERE daily = %s
"""


class Late:
    """A job of five weeks ago, whose worker stood still since its claim."""

    def __init__(self, past: Past) -> None:
        self.past = past
        at = past.at(5)
        job = add_job(past.connection, past.account, past.version, id=id_at(at), created_at=at)
        taken = claims.claim(past.connection, job, id_at(at), ["slm"], "frozen")
        assert taken is not None
        self.claim: Claim = taken
        do = past.connection.execute
        do("UPDATE calls SET booked_at = %s WHERE job_id = %s", (at, job))

    def end(self) -> None:
        """The lease was lost, and the job failed."""
        do, job, at = self.past.connection.execute, self.claim.job_id, self.past.at(5)
        do(
            "UPDATE attempts SET ended_at = %s, verdict = 'worker_lost' WHERE job_id = %s",
            (at, job),
        )
        do(
            "UPDATE jobs SET status = 'failed', completed_at = %s, part = 2 WHERE id = %s",
            (at, job),
        )
        roll_up_all(self.past.pool)

    def count(self) -> None:
        """The roll-up waits for the call no longer."""
        first, end = LOWEST, id_at(self.past.now + WEEK)
        assert roll_up_left(self.past.connection, first, end, self.past.now, 100) == 1

    def report(self) -> None:
        """The worker goes on, and reports what the call cost."""
        attempt = Attempt(self.claim, two_tiers())
        settled = settle(self.past.pool, attempt, END, NO_ROUTE, PAID, keep_on=lambda: True)
        assert settled is None, "the answer is dropped"

    def sums(self) -> set[tuple[Decimal, int, int]]:
        """Cost, calls, and calls of unknown cost: of each table, by day and by hour."""
        roll_up_all(self.past.pool)
        tables = set()
        for table in ("usage_sums", "tier_sums"):
            for daily in (True, False):
                row: Any = self.past.connection.execute(
                    SUMS.format(table=table).encode(), (daily,)
                ).fetchone()
                tables.add((row[0], int(row[1]), int(row[2])))
        return tables


@pytest.fixture
def late(past_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    monkeypatch.setenv("TIERLINE_HISTORY_DAYS", "14")
    settings.cache_clear()
    with past_weeks(past_database_url) as past:
        yield Late(past)
    settings.cache_clear()


def test_a_cost_of_a_removed_week_goes_to_the_sums_once(late: Late) -> None:
    late.end()
    assert History().remove_old(late.past.pool, time.monotonic() + 60) > 0
    row = late.past.connection.execute("SELECT count(*) FROM calls").fetchone()
    assert row == (0,)
    assert late.sums() == {(0, 1, 1)}
    late.report()
    assert late.sums() == {(COST, 1, 0)}


def test_a_cost_of_a_call_that_was_counted_is_corrected_in_the_sums(late: Late) -> None:
    late.end()
    late.count()
    assert late.sums() == {(0, 1, 1)}
    late.report()
    late.report()  # as after a cut connection
    assert late.sums() == {(COST, 1, 0)}
    row = late.past.connection.execute("SELECT sum(cost_usd) FROM calls").fetchone()
    assert row == (COST,)


def test_a_cost_that_comes_before_the_call_is_counted_is_counted_once(late: Late) -> None:
    late.end()
    assert late.sums() == {(0, 0, 0)}
    late.report()
    assert late.sums() == {(COST, 1, 0)}


def test_a_try_whose_reply_was_lost_is_not_made_again(late: Late) -> None:
    late.end()
    assert History().remove_old(late.past.pool, time.monotonic() + 60) > 0
    cost = LateCost(late.claim, "slm", PAID)
    for added in (True, False):
        with late.past.connection.transaction():
            assert cost.settle(late.past.connection) is added
    assert late.sums() == {(COST, 1, 0)}


def test_only_old_claims_are_looked_up(late: Late) -> None:
    assert may_be_counted(late.claim)
    for token in (new_id(), id_at(late.past.now - timedelta(hours=23))):
        job = add_job(late.past.connection, late.past.account, late.past.version)
        taken = claims.claim(late.past.connection, job, token, ["slm"], "w")
        assert taken is not None
        assert not may_be_counted(taken)
