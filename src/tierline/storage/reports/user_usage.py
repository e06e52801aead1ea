"""An account's usage by user. Users are not in the sums, because there may be any number of them:
so it is read from the jobs themselves, the newest first, a bounded number of them.

Jobs count by the time of their submission, with all of their calls so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import first_id_of, time_of
from tierline.storage.db.homes import Span, at_homes
from tierline.storage.db.rows import typed_rows
from tierline.storage.jobs.job_pages import (
    Before,
    Filters,
    JobPosition,
    in_few_weeks,
    in_one_snapshot,
    later,
)
from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.storage.jobs.job_search import examine
from tierline.storage.reports.facts import by_key
from tierline.views.jobs.tokens import TOKENS

_AFTER_ALL = UUID(int=2**128 - 1)
_OF_JOBS = f"""
SELECT coalesce(r.user_key, '') AS user, count(*) FILTER (WHERE s.calls > 0) AS jobs,
    sum(s.calls)::bigint AS calls, coalesce(sum(s.cost_usd), 0) AS cost_usd,
    sum(s.unknown_cost_calls)::bigint AS unknown_cost_calls,
    {", ".join(f"sum(s.{name})::bigint AS {name}" for name in TOKENS)},
    coalesce(sum(s.model_s), 0) AS model_s
FROM unnest(%(ids)s::uuid[]) one (id)
{by_key("@job_requests", "r", "r.job_id = one.id")}
CROSS JOIN LATERAL (
    SELECT count(*) AS calls, sum(c.cost_usd) AS cost_usd,
        count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls,
        {", ".join(f"sum(c.{name}) AS {name}" for name in TOKENS)}, sum(c.latency_s) AS model_s
    FROM @jobs j JOIN @calls c ON c.job_id = j.id WHERE j.id = one.id
) s
GROUP BY 1
"""


@dataclass(frozen=True)
class UserSum:
    """What a user's jobs used. An empty name: the jobs without a user."""

    user: str
    jobs: int
    calls: int
    cost_usd: Decimal  # known so far
    unknown_cost_calls: int
    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    model_s: float

    def __add__(self, other: "UserSum") -> "UserSum":
        mine, theirs = vars(self), vars(other)
        return UserSum(
            self.user,
            **{
                name: mine[name] if theirs[name] is None else (mine[name] or 0) + theirs[name]
                for name in mine
                if name != "user"
            },
        )


def usage_by_user(
    connection: Connection[Any],
    account_id: int,
    since: datetime,
    until: datetime | None,
    before: Before,
    *,
    most: int,
    at_once: int,
) -> tuple[list[UserSum], datetime | None]:
    """The sums of the jobs submitted in [since, until), by user, of the newest `most` jobs behind
    `before`; and back to when they reach, if that is not to `since`. Without `until`, all later.
    """
    first = first_id_of(since, timedelta(0))
    end = _AFTER_ALL if until is None else first_id_of(until, timedelta(0))

    def read() -> tuple[list[UserSum], datetime | None]:
        sums: dict[str, UserSum] = {}
        behind, examined = before, 0
        while True:
            jobs = examine(connection, account_id, Filters(), behind, at_once)
            examined += len(jobs)
            chosen = [JobPosition(one.seq, one.id) for one in jobs if first <= one.id < end]
            for row in _sums(connection, chosen):
                earlier = sums.get(row.user)
                sums[row.user] = row if earlier is None else earlier + row
            if len(jobs) < at_once or later(jobs[-1].id) < first:
                return list(sums.values()), None
            behind = Before(jobs[-1].seq, jobs[-1].id)
            if examined >= most:
                return list(sums.values()), time_of(jobs[-1].id)

    return in_one_snapshot(connection, read)


def _sums(connection: Connection[Any], jobs: Sequence[JobPosition]) -> list[UserSum]:
    rows: list[UserSum] = []
    for ids in in_few_weeks(jobs):
        rows += typed_rows(connection, UserSum, _named(connection, ids), {"ids": ids})
    return rows


def _named(connection: Connection[Any], ids: Sequence[UUID]) -> Any:
    return at_homes(connection, _OF_JOBS, Span(min(ids), max(ids)))
