"""Finds an account's jobs by what has no index, the newest first: a bounded number is examined.

Jobs are examined in the order of the list, whether they match or not: few at first, because most
searches find enough among these, then some thousand at a time. So a search has a highest cost with
any filter, and tells where it has stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from tierline.storage.db.homes import Span, at_homes
from tierline.storage.jobs.job_pages import (
    Before,
    Filters,
    JobPosition,
    groups,
    in_few_weeks,
    in_one_snapshot,
    later,
    lowest,
)
from tierline.storage.jobs.job_reads import job_rows
from tierline.views.jobs.jobs import JobRow

FIRST = 100  # jobs that the first statement of a search examines, or twice those of a page
GROWTH = 4  # times as many as the statement before

# Every job counts as examined, whether it matches or not, so that a page costs the same with any
# filter. A batch has an index.
_EXAMINE = """
SELECT j.seq, j.id, {matches} AS matches FROM {jobs} j
WHERE j.account_id = %(account_id)s AND j.shadow_of IS NULL AND j.seq < %(before)s {batch}
ORDER BY j.seq DESC LIMIT %(limit)s
"""
_MATCHES = {
    "feature": "j.feature_version_id = ANY(ARRAY("
    "SELECT v.id FROM feature_versions v WHERE v.name = %(feature)s))",
    "status": "j.status = %(status)s",
    "tier": "j.tier = %(tier)s",
    "batch_id": "j.batch_id = %(batch_id)s",
    "escalated": "(j.escalation_reason IS NOT NULL) = %(escalated)s",
    "no_drafts": "NOT EXISTS (SELECT FROM feature_versions v"
    " WHERE v.id = j.feature_version_id AND v.version < 0)",
}

# What is not in the job's row is looked up by the ids of the jobs that match so far.
_ATTEMPTS = """
SELECT DISTINCT job_id FROM @attempts WHERE job_id = ANY(%(ids)s) AND verdict = %(verdict)s
"""
_REQUESTS = "SELECT job_id FROM @job_requests r WHERE r.job_id = ANY(%(ids)s) {more}"
_OF_REQUEST = {
    "user": "r.user_key = %(user)s",
    "session": "r.session_key = %(session)s",
    "name": "r.metadata ->> %(name)s = %(value)s",
}


class Examined(NamedTuple):
    """A job on the walk."""

    seq: int
    id: UUID
    matches: bool


@dataclass(frozen=True)
class Details:
    """More about the jobs to find; None: any."""

    verdict: str | None = None  # of one of its attempts
    user: str | None = None
    session: str | None = None
    metadata: tuple[str, str] | None = None  # a name, and its value as text
    escalated: bool | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether some of it is not in a job's own row."""
        parts = (self.verdict, self.user, self.session, self.metadata)
        return any(part is not None for part in parts)

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())


ANY = Details()


class Matches(NamedTuple):
    """What a search has found."""

    rows: list[JobRow]
    stopped: JobPosition | None  # where an earlier one may follow; None: these are all


def search(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    details: Details,
    before: Before,
    *,
    limit: int,
    most: int,
    at_once: int,
) -> Matches:
    """At most `limit` jobs behind `before` that match, the newest first, among the next `most`
    jobs. `at_once`: jobs that one statement examines, at most.
    """

    def read() -> Matches:
        behind = before
        matching: list[JobPosition] = []
        examined = 0
        size = min(at_once, max(FIRST, 2 * limit), most)
        stopped: JobPosition | None = None
        while True:
            rows = examine(connection, account_id, filters, behind, size, details)
            examined += len(rows)
            matching += [JobPosition(row.seq, row.id) for row in rows if row.matches]
            if len(matching) > limit:
                matching = matching[:limit]
                stopped = matching[-1]
                break
            if len(rows) < size:
                break
            behind = Before(rows[-1].seq, rows[-1].id)
            if examined >= most:
                stopped = JobPosition(rows[-1].seq, rows[-1].id)
                break
            size = min(at_once, size * GROWTH, most - examined)
        jobs = [row for ids in in_few_weeks(matching) for row in job_rows(connection, ids)]
        return Matches(sorted(jobs, key=lambda row: -row["seq"]), stopped)

    return in_one_snapshot(connection, read)


def _with_details(
    connection: Connection[Any], jobs: Sequence[Examined], details: Details
) -> list[JobPosition]:
    """Those of the jobs whose attempts and request match, in the same order."""
    positions = [JobPosition(one.seq, one.id) for one in jobs]
    if details.verdict is not None:
        positions = _among(connection, positions, _ATTEMPTS, {"verdict": details.verdict})
    name, text = details.metadata or (None, None)
    given = {"user": details.user, "session": details.session, "name": name, "value": text}
    values = {name: value for name, value in given.items() if value is not None}
    if values:
        more = "".join(
            f"AND {condition} " for name, condition in _OF_REQUEST.items() if name in values
        )
        positions = _among(connection, positions, _REQUESTS.format(more=more), values)
    return positions


def _among(
    connection: Connection[Any],
    positions: Sequence[JobPosition],
    statement: str,
    values: Mapping[str, str],
) -> list[JobPosition]:
    there: set[UUID] = set()
    for ids in in_few_weeks(positions):
        named = at_homes(connection, statement, Span(min(ids), max(ids)))
        there |= {job_id for (job_id,) in connection.execute(named, {**values, "ids": ids})}
    return [one for one in positions if one.id in there]


def examine(
    connection: Connection[Any],
    account_id: int,
    filters: Filters,
    before: Before,
    limit: int,
    details: Details = ANY,
) -> list[Examined]:
    """The next `limit` jobs of the account behind `before`, the newest first, and whether each
    matches both. Of a batch only its own jobs are examined.
    """
    values = {
        "feature": filters.feature,
        "status": filters.status,
        "tier": filters.tier,
        "batch_id": filters.batch_id,
        "no_drafts": None if filters.drafts else True,
        "escalated": details.escalated,
    }
    conditions = {name: value for name, value in values.items() if value is not None}
    matches = " AND ".join(_MATCHES[name] for name in conditions) or "true"
    batch = f"AND {_MATCHES['batch_id']}" if "batch_id" in conditions else ""
    parameters = {**conditions, "account_id": account_id, "before": before.seq, "limit": limit}
    ceiling = None if before.id is None else later(before.id)

    def read() -> list[Examined]:
        examined: list[Examined] = []
        for group in groups(connection, lowest(filters), ceiling):
            statement = _EXAMINE.format(matches=matches, jobs=group.jobs, batch=batch)
            named = at_homes(connection, statement, group.ids)
            examined += [Examined(*row) for row in connection.execute(named, parameters)]
            examined = sorted(set(examined), reverse=True)[:limit]
            if len(examined) == limit and examined[-1].id >= group.newer:
                break
        if not details.elsewhere:
            return examined
        matching = [one for one in examined if one.matches]
        ids = {one.id for one in _with_details(connection, matching, details)}
        return [one._replace(matches=one.id in ids) for one in examined]

    return in_one_snapshot(connection, read)
