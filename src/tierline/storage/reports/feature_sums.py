"""A feature's sums over a window of submission, with the rows beside them that are not rolled up.

A window that begins and ends with full hours is read from the sums. If it cuts an hour, the jobs of
that hour are read one by one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from psycopg import Connection

from tierline.base.ids import database_now, first_id_of
from tierline.rules.windows import NEVER, divide
from tierline.storage.db.homes import Span
from tierline.storage.reports.counted import Counted
from tierline.storage.reports.facts import JOBS, LATENCIES, TIERS, Sums, as_planned, by_key
from tierline.storage.reports.roll_up import FINAL
from tierline.storage.reports.uncounted import (
    ATTEMPTS,
    OLD_ATTEMPT,
    OLD_JOB,
    in_sums,
    uncounted_rows,
)

Kind = TypeVar("Kind")

CLOCKS_APART = timedelta(hours=1)  # the most that clocks of the API and the database may differ


@dataclass(frozen=True)
class Window:
    """Which jobs of a feature: those submitted in [since, until); None: up to now."""

    feature: str
    since: datetime
    until: datetime | None

    @property
    def of_full_hours(self) -> bool:
        """Whether it cuts no hour, so that the sums have all of it."""
        return not divide(self.since, self.until).edges

    @property
    def edges(self) -> list[Span]:
        """The ids of the jobs in the hours that it cuts, up to now."""
        now = database_now()
        return [
            Span(
                first_id_of(edge.since, CLOCKS_APART),
                first_id_of(min(edge.until, now), -CLOCKS_APART),
            )
            for edge in divide(self.since, self.until).edges
        ]

    def parameters(self, counted: Counted) -> dict[str, Any]:
        """For the statements of this module."""
        parts = divide(self.since, self.until)
        return {
            "feature": self.feature,
            "final": FINAL,
            "rolled_to": counted.rolled_to,
            "history_from": counted.history_from,
            "since_migration": counted.since,
            **self.times(),
            **parts.parameters(),
            "edge_floor": [edge.first for edge in self.edges],
            "edge_ceiling": [edge.last for edge in self.edges],
        }

    def times(self) -> dict[str, Any]:
        """The window alone. Ids grow with time, so `floor` finds its jobs."""
        return {
            "feature": self.feature,
            "since": self.since,
            "until": NEVER if self.until is None else self.until,
            "floor": first_id_of(self.since, CLOCKS_APART),
        }


# Jobs of tries and evaluations belong to drafts and are not included. Those of judges do too.
OF_FEATURE = """
of_feature AS MATERIALIZED (
    SELECT id, version > 0 AS applied FROM feature_versions WHERE name = %(feature)s
)"""
JOB_OF_FEATURE = """
JOIN of_feature v ON v.id = j.feature_version_id AND (v.applied OR j.judged_attempt IS NOT NULL)"""

_JOB_OF_ATTEMPT = f"""{by_key("@jobs", "j", "j.id = u.job_id")} {JOB_OF_FEATURE}"""

_WHOLE = "j.created_at >= %(whole_since)s AND j.created_at < %(whole_until)s"
_OF_EDGE = """j.id >= edge.floor AND j.id < edge.ceiling
    AND j.created_at >= edge.since AND j.created_at < edge.until"""
_EDGES = f"""
unnest(%(edge_since)s::timestamptz[], %(edge_until)s::timestamptz[], %(edge_floor)s::uuid[],
    %(edge_ceiling)s::uuid[]) edge (since, until, floor, ceiling)
{by_key("@jobs", "j", _OF_EDGE)} {JOB_OF_FEATURE}"""
_GRAINS = """
CROSS JOIN unnest(%(grain_daily)s::bool[], %(grain_since)s::timestamptz[],
    %(grain_until)s::timestamptz[]) grain (daily_ones, since, until)"""
_OF_GRAIN = "j.daily = grain.daily_ones AND j.at >= grain.since AND j.at < grain.until"

_CHOSEN_ATTEMPTS = f"""
    SELECT u.job_id, u.number FROM uncounted u {_JOB_OF_ATTEMPT}
    WHERE {_WHOLE}
    UNION ALL
    SELECT a.job_id, a.number FROM {_EDGES} {by_key("@attempts", "a", "a.job_id = j.id")}"""
_OLD_ATTEMPTS = f"""
    UNION ALL
    SELECT a.job_id, a.number FROM attempts a JOIN jobs j ON j.id = a.job_id {JOB_OF_FEATURE}
    WHERE {OLD_ATTEMPT.format(a="a")} AND a.job_id >= %(floor)s AND {_WHOLE}"""
_CHOSEN_JOBS = f"""
    SELECT j.id AS job_id FROM (
        SELECT job_id FROM uncounted UNION SELECT job_id FROM sums_pending WHERE attempt = 0
    ) u {_JOB_OF_ATTEMPT}
    WHERE j.completed_at IS NOT NULL AND {_WHOLE}
    UNION
    SELECT j.id FROM {_EDGES} WHERE j.completed_at IS NOT NULL"""
_OLD_JOBS = f"""
    UNION
    SELECT j.id FROM jobs j {JOB_OF_FEATURE}
    WHERE {OLD_JOB.format(j="j")} AND j.id >= %(floor)s AND {_WHOLE}"""
# Latencies are kept by day. So those of all days that the window touches are read.
_CHOSEN_LATENCIES = f"""
    SELECT u.job_id, u.number FROM uncounted u {_JOB_OF_ATTEMPT}
    WHERE j.created_at >= %(since)s AND j.created_at < %(until)s"""
_OLD_LATENCIES = f"""
    UNION ALL
    SELECT a.job_id, a.number FROM attempts a JOIN jobs j ON j.id = a.job_id {JOB_OF_FEATURE}
    WHERE {OLD_ATTEMPT.format(a="a")} AND a.job_id >= %(floor)s
        AND j.created_at >= %(since)s AND j.created_at < %(until)s"""


def _summed(sums: Sums, range_of_sums: tuple[str, str]) -> str:
    columns = ", ".join(f"j.{column}" for column in (*sums.keys, "at", *sums.measures))
    grains, condition = range_of_sums
    key = f"j.feature_version_id = v.id AND (v.applied OR j.kind = 'judge') AND {condition}"
    return f"SELECT {columns} FROM of_feature v {grains} {by_key(sums.table, 'j', key)}"


_DAYS = "j.at >= date_trunc('day', %(since)s::timestamptz, 'UTC') AND j.at < %(until)s"
_PARTS = {
    TIERS.table: (TIERS, "chosen_attempts", _CHOSEN_ATTEMPTS, _OLD_ATTEMPTS, (_GRAINS, _OF_GRAIN)),
    JOBS.table: (JOBS, "chosen_jobs", _CHOSEN_JOBS, _OLD_JOBS, (_GRAINS, _OF_GRAIN)),
    LATENCIES.table: (LATENCIES, "chosen_attempts", _CHOSEN_LATENCIES, _OLD_LATENCIES, ("", _DAYS)),
}


def summed(
    connection: Connection[Any],
    kind: type[Kind],
    sums: Sums,
    select: str,
    counted: Counted,
    window: Window,
    **more: Any,
) -> list[Kind]:
    """The rows that `select` makes of `feature_rows`. These have the keys and measures of `sums`;
    several may have the same keys. `more`: its parameters, beside the window's.

    Use it within the snapshot of `counted`.
    """
    statement = f"{_feature_rows(connection, sums, counted, window)}{select}"
    parameters = {**window.parameters(counted), **more}
    return uncounted_rows(connection, kind, statement, parameters, counted, window.edges)


def _feature_rows(connection: Connection[Any], sums: Sums, counted: Counted, window: Window) -> str:
    """The WITH that has `feature_rows`, from sums and rows. Rows are read only if the sums do not
    have all of them.
    """
    _, name, uncounted, old, range_of_sums = _PARTS[sums.table]
    summed = _summed(sums, range_of_sums)
    if window.of_full_hours and in_sums(connection, counted):
        return f"WITH {OF_FEATURE}, feature_rows AS ({summed})"
    much = counted.history_from is not None
    if much:
        uncounted += old
    return f"""
WITH {ATTEMPTS}, {OF_FEATURE}, {name} AS ({uncounted}
), feature_rows AS (
    {summed}
    UNION ALL
    SELECT {sums.columns} FROM ({sums.facts_by(as_planned if much else by_key)}) facts
)
"""
