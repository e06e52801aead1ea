"""Routing decisions, read from the attempts that they caused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from tierline.base.ids import first_id_of
from tierline.storage.db.columns import columns
from tierline.storage.db.homes import Span, at_homes, read_at_home
from tierline.storage.db.rows import one_row, typed_rows
from tierline.storage.jobs.claims import DECISION
from tierline.storage.jobs.job_pages import (
    Before,
    JobPosition,
    in_few_weeks,
    in_one_snapshot,
    later,
    newest,
)
from tierline.storage.jobs.job_search import FIRST, GROWTH
from tierline.views.jobs.decisions import LoggedDecision

CLOCKS_APART = timedelta(hours=1)  # the most that clocks of the API and the database may differ

_COLUMNS = columns(
    LoggedDecision,
    "a",
    {
        "job_id": "j.id",
        "account": "account.name",
        "feature": "v.name",
        "feature_version": "v.version",
        "calibration_id": "o.calibration_id",
        "confidence_threshold": "c.threshold",
        "confidence_signals": "o.signals",
        "job_status": "j.status",
        "routing": DECISION,
        "last_attempt": "j.attempts",
        **{name: f"j.{name}" for name in ("seq", "tier_index", "answer_attempt", "unverified")},
    },
)

_WEIGHED = """
LEFT JOIN @outcomes o ON o.job_id = a.job_id AND o.attempt = a.number
LEFT JOIN calibrations c ON c.id = o.calibration_id
"""

_MATCHES = f"""
    a.job_id = j.id
    AND (%(tier)s::text IS NULL OR a.tier = %(tier)s)
    AND (%(policy)s::text IS NULL OR {DECISION} ->> 'policy' = %(policy)s)
    AND (%(reason)s::text IS NULL OR strpos(lower({DECISION} ->> 'reason'), lower(%(reason)s)) > 0)
"""

# The newest jobs, whether they match or not. Each account's are read by its own index, and merged
# for all accounts. {jobs}: `@jobs` or `@jobs_ended`. {limit}: a number, see `job_pages`.
NEWEST = """
SELECT own.seq, own.id FROM accounts account CROSS JOIN LATERAL (
    SELECT j.seq, j.id FROM {jobs} j
    WHERE j.account_id = account.id AND j.shadow_of IS NULL {more}
    ORDER BY j.seq DESC LIMIT {limit}
) own {account}
ORDER BY own.seq DESC LIMIT {limit}
"""
_CONDITIONS = {
    "before": "AND j.seq < %(before)s",
    "since": "AND j.created_at >= %(since)s",
    "until": "AND j.created_at < %(until)s",
}

# Those of some jobs that have a decision that matches.
MATCHING = f"""
SELECT j.id FROM @jobs j JOIN feature_versions v ON v.id = j.feature_version_id
WHERE j.id = ANY(%(ids)s) AND (%(feature)s::text IS NULL OR v.name = %(feature)s)
    AND EXISTS (SELECT FROM @attempts a WHERE {_MATCHES})
"""

OF_PAGE = f"""
SELECT {_COLUMNS} FROM @jobs j
JOIN accounts account ON account.id = j.account_id
JOIN feature_versions v ON v.id = j.feature_version_id
JOIN @attempts a ON {_MATCHES}
{_WEIGHED}
WHERE j.id = ANY(%(ids)s)
"""

OF_JOB = f"""
SELECT {_COLUMNS} FROM @jobs j
JOIN accounts account ON account.id = j.account_id
JOIN feature_versions v ON v.id = j.feature_version_id
JOIN @attempts a ON a.job_id = j.id
{_WEIGHED}
WHERE j.id = %s ORDER BY a.number
"""

BEGINNING = """
SELECT account.name AS account, v.name AS feature, v.version AS feature_version, v.document,
    j.status, j.created_at,
    j.tier, j.attempts, r.decision, length(r.input::text) AS characters
FROM @jobs j
JOIN accounts account ON account.id = j.account_id
JOIN feature_versions v ON v.id = j.feature_version_id
JOIN @job_requests r ON r.job_id = j.id
WHERE j.id = %s AND j.account_id = %s
"""


@dataclass(frozen=True)
class Filters:
    """Which of an account's decisions to list; None: any."""

    feature: str | None = None
    tier: str | None = None
    policy: str | None = None
    reason: str | None = None  # a text in the decision's reason, in any case
    since: datetime | None = None  # of the job's submission
    until: datetime | None = None  # exclusive


class DecisionRows(NamedTuple):
    """What a page has."""

    rows: list[LoggedDecision]
    stopped: int | None  # the `seq` before which more may follow; None: these are all


def page(
    connection: Connection[Any],
    account_id: int | None,
    filters: Filters,
    before: int | None,
    limit: int,
    *,
    most: int,
    at_once: int,
) -> DecisionRows:
    """The decisions of up to `limit` jobs with `seq` below `before`, the newest jobs first; of one
    account's, or of all. They are looked for among the next `most` jobs, up to `at_once` in one
    statement. A page has whole jobs, each with all matching decisions.
    """
    parameters = {**vars(filters), "account_id": account_id}
    floor = None if filters.since is None else first_id_of(filters.since, CLOCKS_APART)
    ceiling = None if filters.until is None else first_id_of(filters.until, -CLOCKS_APART)

    def candidates(behind: Before | None, size: int) -> list[JobPosition]:
        values = {**parameters, "before": None if behind is None else behind.seq}
        more = " ".join(text for name, text in _CONDITIONS.items() if values[name] is not None)
        account = "" if account_id is None else "WHERE account.id = %(account_id)s"
        highest = ceiling
        if behind is not None and behind.id is not None:
            highest = later(behind.id) if ceiling is None else min(ceiling, later(behind.id))

        def statement_in(jobs: str) -> str:
            return NEWEST.format(jobs=jobs, more=more, limit=size, account=account)

        return newest(connection, statement_in, values, size, floor, highest)

    def matching(positions: Sequence[JobPosition]) -> list[JobPosition]:
        ids = {
            id
            for some in in_few_weeks(positions)
            for (id,) in connection.execute(
                at_homes(connection, MATCHING, Span(min(some), max(some))),
                {**parameters, "ids": some},
            )
        }
        return [one for one in positions if one.id in ids]

    def read() -> DecisionRows:
        behind = None if before is None else Before(before)
        positions: list[JobPosition] = []
        stopped: int | None = None
        examined, size = 0, min(at_once, max(FIRST, 2 * limit), most)
        while True:
            there = candidates(behind, size)
            examined += len(there)
            positions += matching(there)
            if len(positions) > limit:
                positions = positions[:limit]
                stopped = positions[-1].seq
                break
            if len(there) < size:
                break
            behind = Before(there[-1].seq, there[-1].id)
            if examined >= most:
                stopped = behind.seq
                break
            size = min(at_once, size * GROWTH, most - examined)
        rows: list[LoggedDecision] = []
        for ids in in_few_weeks(positions):
            statement = at_homes(connection, OF_PAGE, Span(min(ids), max(ids)))
            rows += typed_rows(connection, LoggedDecision, statement, {**parameters, "ids": ids})
        rows.sort(key=lambda row: (-row["seq"], row["number"]))
        return DecisionRows(rows, stopped)

    return in_one_snapshot(connection, read)


def of_job(connection: Connection[Any], job_id: UUID) -> list[LoggedDecision]:
    """A job's decisions, in order."""
    return read_at_home(
        connection,
        OF_JOB,
        job_id,
        lambda statement: typed_rows(connection, LoggedDecision, statement, (job_id,)),
    )


def beginning(
    connection: Connection[Any], account_id: int, job_id: UUID
) -> Mapping[str, Any] | None:
    """The first decision of a job; None if there is none or the job is another account's.

    `characters` is the length of its input as JSON text; null if that was removed.
    """
    return read_at_home(
        connection,
        BEGINNING,
        job_id,
        lambda statement: one_row(connection, statement, (job_id, account_id)),
    )
