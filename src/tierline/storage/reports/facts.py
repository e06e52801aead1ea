"""What the sums count, written once: the roll-up adds it to the sums, and reports read it from the
rows that are not rolled up yet. So both are the same figures.

Each statement here reads a set that its caller names before it in the WITH: `chosen_calls` (job_id,
attempt, number), `chosen_attempts` (job_id, number) or `chosen_jobs` (job_id). It names tables as
`@calls`, for the partitions of those jobs (`storage.db.homes`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tierline.storage.jobs.job_reads import UNKNOWN_COST
from tierline.views.jobs.tokens import TOKENS

LATENCY_BASE = 1.02  # of the bins of latency_sums: a median is right within 1%


def by_key(table: str, alias: str, condition: str, *, left: bool = False) -> str:
    """A join that looks up each row by its key, whatever the planner thinks of the numbers.

    The statements begin with few rows, of which there are no statistics, and follow their keys into
    tables of any size. OFFSET 0 keeps the planner from reading those tables instead.
    """
    rows = f"LATERAL (SELECT * FROM {table} {alias} WHERE {condition} OFFSET 0) {alias}"
    return f"LEFT JOIN {rows} ON true" if left else f"CROSS JOIN {rows}"


def as_planned(table: str, alias: str, condition: str, *, left: bool = False) -> str:
    """The same join, left to the planner: for a large part of the tables."""
    return f"{'LEFT ' if left else ''}JOIN {table} {alias} ON {condition}"


Join = Callable[..., str]
"""`by_key` or `as_planned`."""


@dataclass(frozen=True)
class Sums:
    """A table of sums: its keys, what it adds up, and the statement of the rows not rolled up."""

    table: str
    keys: Sequence[str]  # without `daily` and `at`
    measures: Sequence[str]
    facts_by: Callable[[Join], str]  # gives `at`, the keys and the measures
    daily_only: bool = False

    @property
    def facts(self) -> str:
        """The statement for few rows."""
        return self.facts_by(by_key)

    @property
    def columns(self) -> str:
        return ", ".join((*self.keys, "at", *self.measures))


KIND = (
    "CASE WHEN j.judged_attempt IS NOT NULL THEN 'judge'"
    " WHEN j.shadow_of IS NOT NULL THEN 'shadow' ELSE 'answer' END"
)

# The groups of usage in which a job is counted once, at its first call there. The feature is the
# job's own.
SAME = {"tier": "et.tier IS NOT DISTINCT FROM t.tier", "model": "e.model = c.model"}
SAME["purpose"] = "e.purpose = c.purpose"
GROUPINGS = tuple(
    tuple(name for place, name in enumerate(SAME) if number >> place & 1)
    for number in range(2 ** len(SAME))
)


def jobs_column(groups: Sequence[str]) -> str:
    """The column of usage_sums that counts jobs once for each of these groups."""
    return "_".join(("jobs", *(name for name in SAME if name in groups)))


_JOBS = ",\n    ".join(
    f"count(*) FILTER (WHERE NOT coalesce(e.{jobs_column(groups)}, false)) AS {jobs_column(groups)}"
    for groups in GROUPINGS
)
_EARLIER = ", ".join(
    f"bool_or({' AND '.join(SAME[name] for name in groups) or 'true'}) AS {jobs_column(groups)}"
    for groups in GROUPINGS
)


def _usage(to: Join) -> str:
    return f"""
SELECT c.account_id, v.name AS feature, coalesce(t.tier, '') AS tier, c.model, c.purpose,
    date_trunc('hour', c.booked_at, 'UTC') AS at,
    count(*) AS calls, {_JOBS},
    coalesce(sum(c.cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE {UNKNOWN_COST}) AS unknown_cost_calls,
    {", ".join(f"sum(c.{name}) AS {name}" for name in TOKENS)},
    coalesce(sum(c.latency_s), 0) AS model_s
FROM chosen_calls k
{to("@calls", "c", "c.job_id = k.job_id AND c.attempt = k.attempt AND c.number = k.number")}
{to("@jobs", "j", "j.id = c.job_id")}
{to("feature_versions", "v", "v.id = j.feature_version_id")}
{to("@attempts", "t", "t.job_id = c.job_id AND t.number = c.attempt", left=True)}
LEFT JOIN LATERAL (
    SELECT {_EARLIER}
    FROM @calls e
    {to("@attempts", "et", "et.job_id = e.job_id AND et.number = e.attempt", left=True)}
    WHERE e.job_id = c.job_id AND (e.attempt, e.number) < (c.attempt, c.number)
        AND (c.attempt > 1 OR c.number > 1)
) e ON true
GROUP BY 1, 2, 3, 4, 5, 6
"""


USAGE = Sums(
    "usage_sums",
    ("account_id", "feature", "tier", "model", "purpose"),
    (
        "calls",
        *(jobs_column(groups) for groups in GROUPINGS),
        "cost_usd",
        "unknown_cost_calls",
        *TOKENS,
        "model_s",
    ),
    _usage,
)


# `again`: the tier of the attempt before is called again. An answer that passed or failed a
# check never leads to that. An attempt is counted at its first call, so that one join is enough.
def _tiers(to: Join) -> str:
    return f"""
SELECT j.feature_version_id, {KIND} AS kind, a.tier, coalesce(c.purpose, '') AS purpose,
    date_trunc('hour', j.created_at, 'UTC') AS at,
    count(c.job_id) AS calls,
    count(c.job_id) FILTER (WHERE (j.shadow_of IS NOT NULL OR j.judged_attempt IS NOT NULL)
        AND NOT EXISTS (
        SELECT FROM @calls e WHERE e.job_id = c.job_id AND e.purpose = c.purpose
            AND (e.attempt, e.number) < (c.attempt, c.number))) AS jobs,
    coalesce(sum(c.cost_usd), 0) AS cost_usd,
    count(*) FILTER (WHERE c.job_id IS NOT NULL AND {UNKNOWN_COST}) AS unknown_cost_calls,
    count(*) FILTER (WHERE coalesce(c.number, 1) = 1) AS attempts,
    count(*) FILTER (WHERE coalesce(c.number, 1) = 1 AND b.tier = a.tier
        AND (b.verdict IS NULL OR NOT b.verdict = ANY(%(final)s))) AS again,
    count(*) FILTER (WHERE NOT x.unknown) AS known,
    count(*) FILTER (WHERE x.unknown) AS unknown,
    coalesce(sum(x.cost_usd) FILTER (WHERE NOT x.unknown), 0) AS known_usd,
    coalesce(sum(x.cost_usd * x.cost_usd) FILTER (WHERE NOT x.unknown), 0) AS known_square_usd,
    coalesce(sum(x.input_tokens), 0) AS input_tokens, count(x.input_tokens) AS input_attempts,
    coalesce(sum(x.cached_input_tokens), 0) AS cached_input_tokens,
    count(x.cached_input_tokens) AS cached_input_attempts,
    coalesce(sum(x.output_tokens), 0) AS output_tokens
FROM chosen_attempts k
{to("@attempts", "a", "a.job_id = k.job_id AND a.number = k.number")}
{to("@jobs", "j", "j.id = a.job_id")}
{to("@attempts", "b", "b.job_id = a.job_id AND b.number = a.number - 1", left=True)}
{to("@calls", "c", "c.job_id = a.job_id AND c.attempt = a.number", left=True)}
LEFT JOIN LATERAL (
    SELECT bool_or(o.cost_usd IS NULL) AS unknown, sum(o.cost_usd) AS cost_usd,
        sum(o.input_tokens) AS input_tokens, sum(o.cached_input_tokens) AS cached_input_tokens,
        sum(coalesce(o.output_tokens, 0) + coalesce(o.reasoning_tokens, 0)) AS output_tokens
    FROM @calls o WHERE o.job_id = a.job_id AND o.attempt = a.number
) x ON c.number = 1 AND a.ended_at IS NOT NULL
GROUP BY 1, 2, 3, 4, 5
"""


TIERS = Sums(
    "tier_sums",
    ("feature_version_id", "kind", "tier", "purpose"),
    (
        *("calls", "jobs", "cost_usd", "unknown_cost_calls", "attempts", "again"),
        *("known", "unknown", "known_usd", "known_square_usd"),
        *("input_tokens", "input_attempts", "cached_input_tokens", "cached_input_attempts"),
        "output_tokens",
    ),
    _tiers,
)


def _latencies(to: Join) -> str:
    return f"""
SELECT j.feature_version_id, {KIND} AS kind, a.tier,
    ceil(ln(greatest(a.latency_s, 1e-6)) / ln({LATENCY_BASE}::float8))::int AS bin,
    date_trunc('day', j.created_at, 'UTC') AS at,
    count(*) AS attempts, sum(a.latency_s) AS latency_s
FROM chosen_attempts k
{to("@attempts", "a", "a.job_id = k.job_id AND a.number = k.number")}
{to("@jobs", "j", "j.id = a.job_id")}
WHERE a.latency_s IS NOT NULL
GROUP BY 1, 2, 3, 4, 5
"""


LATENCIES = Sums(
    "latency_sums",
    ("feature_version_id", "kind", "tier", "bin"),
    ("attempts", "latency_s"),
    _latencies,
    daily_only=True,
)


# `verdict`: of the last tier from which the job escalated.
def _jobs(to: Join) -> str:
    return f"""
SELECT j.feature_version_id, {KIND} AS kind, j.status, j.unverified,
    split_part(coalesce(j.escalation_reason, ''), ':', 1) AS verdict,
    coalesce(f.tier, '') AS first_tier, coalesce(s.tier, '') AS served_tier,
    date_trunc('hour', j.created_at, 'UTC') AS at,
    count(*) AS jobs, count(*) FILTER (WHERE NOT x.unknown) AS known,
    coalesce(sum(x.cost_usd) FILTER (WHERE NOT x.unknown), 0) AS known_usd,
    coalesce(sum(x.cost_usd * x.cost_usd) FILTER (WHERE NOT x.unknown), 0) AS known_square_usd
FROM chosen_jobs k
{to("@jobs", "j", "j.id = k.job_id")}
{to("@attempts", "f", "f.job_id = j.id AND f.number = 1", left=True)}
{to("@attempts", "s", "s.job_id = j.id AND s.number = j.answer_attempt", left=True)}
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.cost_usd), 0) AS cost_usd,
        coalesce(bool_or(c.cost_usd IS NULL), false) AS unknown
    FROM @calls c WHERE c.job_id = j.id
) x
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""


JOBS = Sums(
    "job_sums",
    ("feature_version_id", "kind", "status", "unverified", "verdict", "first_tier", "served_tier"),
    ("jobs", "known", "known_usd", "known_square_usd"),
    _jobs,
)


def add(sums: Sums, sets: str) -> str:
    """The statement that adds the facts of `asked` (the sets, for a WITH) to the table."""
    keys = (*sums.keys, "at") if sums.daily_only else (*sums.keys, "daily", "at")
    facts = f"WITH {sets}, facts AS MATERIALIZED ({sums.facts})"
    if sums.daily_only:
        rows = f"SELECT {sums.columns} FROM facts"
    else:
        keys_read = ", ".join(sums.keys)
        measures = ", ".join(f"sum({name})" for name in sums.measures)
        rows = f"""
SELECT {keys_read}, true, date_trunc('day', at, 'UTC') AS day, {measures}
FROM facts GROUP BY {keys_read}, day
UNION ALL SELECT {keys_read}, false, at, {", ".join(sums.measures)} FROM facts"""
    return f"\n{facts}\n{upsert(sums, keys, rows)}"


def upsert(sums: Sums, keys: Sequence[str], rows: str) -> str:
    """The statement that adds rows of `keys` and the measures to the table."""
    # A sum of nothing but nulls stays null: no call reported such tokens.
    added = ", ".join(
        f"{name} = coalesce(s.{name} + excluded.{name}, s.{name}, excluded.{name})"
        for name in sums.measures
    )
    return f"""
INSERT INTO {sums.table} AS s ({", ".join(keys)}, {", ".join(sums.measures)})
{rows}
ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {added}
"""
