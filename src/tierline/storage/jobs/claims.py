"""Claims of jobs by a worker, with the first call of the attempt that they begin.

Each is one statement in its own transaction and names its claim token. It is safe to repeat after a
cut connection; `claimed` then reads what the first run did. No locks are held between statements,
so no transaction is open while a model answers. `finishes` has how an attempt goes on and ends.
"""

import time
from dataclasses import dataclass, field
from string import Template
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.rules.jobs import Status
from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.storage.db.homes import at_home
from tierline.storage.webhooks.deliveries import HOOKED_SQL


@dataclass(frozen=True)
class FirstCall:
    """The attempt's call number 1, which is booked together with the claim."""

    model: str  # provider:model
    purpose: str


@dataclass(frozen=True)
class EarlierAnswer:
    """The last answer of an earlier tier that failed a check, passed on to the next tier."""

    attempt: int
    tier: str
    verdict: Verdict
    reason: str
    text: str | None
    understood: bool  # it was parsed, so it can be served unverified
    model: str | None  # the exact model that answered


@dataclass(frozen=True)
class Claim:
    """A job that a worker has claimed, with what one attempt needs."""

    job_id: UUID
    token: UUID
    account_id: int
    feature_version_id: int
    attempt: int  # this attempt's number, from 1
    tier_index: int
    queue: str
    failures: int
    losses: int
    maybe_billed: int
    held_s: float  # how long it was held, when it was claimed; 0: it was not
    backfill: bool
    cancel_requested: bool
    remaining_s: float | None  # until the job's deadline, when it was claimed; None: no deadline
    input: Any
    earlier: EarlierAnswer | None
    first_call: FirstCall
    hooked: bool  # the end of the job is sent to a webhook
    draft: bool  # its version is a draft, not an applied one
    age_s: float = field(compare=False)  # time since the job was submitted, when it was read
    budgeted: bool  # its account has budgets; a shadow is paid from its feature's daily budget
    first_tier_plan: str | None  # the account's plan, if it allows only the first tier
    user_key: str | None  # the end user whose budget applies, within the account's
    session_key: str | None
    shadow: bool  # it repeats another job's request; the input is the other job's
    judges: bool  # it compares the answers to another job's request
    # when the claim was read, on this process's monotonic clock
    read_at_s: float = field(default_factory=time.monotonic, compare=False)


_CHECKED = ", ".join(f"'{verdict}'" for verdict in sorted(CHECK_FAILURES))

# What a claim needs from the job's feature version, which is read only once. Every call of a shadow
# has the purpose `shadow`, whatever the purpose of its tier's first call is. A judge's version has
# no first call. So workers of release 0.1 cannot claim its jobs; they would answer them as shadows.
_OF_VERSION = """CASE
            WHEN jobs.judged_attempt IS NOT NULL THEN jsonb_build_object(
                'model', f.document #> '{tiers,-1,models,0}', 'purpose', 'judge')
            WHEN jobs.shadow_of IS NOT NULL THEN
                jsonb_set(f.first_calls -> jobs.tier, '{purpose}', '"shadow"')
            ELSE f.first_calls -> jobs.tier END AS first_call,
        f.version < 0 AND jobs.shadow_of IS NULL AS draft, f.document ->> 'routing' AS policy"""

# The input of a shadow is that of its job, which may be in another partition.
INPUT = "SELECT input FROM @job_requests WHERE job_id = %s"

# The decision of an attempt a at a job of version v. That of most attempts is not stored, which
# saves 130 bytes: the first tier that the feature allows, and nothing happened before.
DECISION = """coalesce(a.routing, json_build_object(
    'policy', v.document ->> 'routing', 'choice', a.tier, 'reason', 'first allowed tier',
    'signals', json_build_object('failures', 0, 'leases_lost', 0)))"""

# `@` before a table: see `storage.db.homes`.
# A job needs two round trips to the database for this statement and FINISH. The claim, its attempt
# and its first call are written in one statement: all or none. $these: which jobs, $fence: the
# token of each, $theirs: which requests. `storage.jobs.claim_together` claims several.
_CLAIM = f"""
WITH claimed AS (
    UPDATE jobs SET
        status = %(in_progress)s, claim_token = $fence, attempts = attempts + 1,
        hint_no = NULL, started_at = coalesce(started_at, clock_timestamp())
    FROM feature_versions f
    WHERE $these AND jobs.part < 2 AND f.id = jobs.feature_version_id
        AND status = 'queued' AND queue = ANY(%(queues)s)
        AND run_after <= clock_timestamp()
        AND (deadline_at IS NULL OR deadline_at > clock_timestamp())
        AND NOT EXISTS (SELECT FROM batches WHERE id = jobs.batch_id AND status = 'cancelled')
    RETURNING jobs.*, {_OF_VERSION}
), attempt AS (
    INSERT INTO @attempts (job_id, number, claim_token, tier, queue, worker, routing)
    SELECT j.id, j.attempts, j.claim_token, j.tier, j.queue, %(worker)s,
        CASE WHEN j.escalation_reason IS NULL AND r.decision IS NOT NULL THEN r.decision
        WHEN j.escalation_reason IS NULL AND j.failures = 0 AND j.losses = 0 THEN NULL
        ELSE json_build_object(
            'policy', j.policy, 'choice', j.tier,
            'reason', coalesce('escalated: ' || j.escalation_reason, 'first allowed tier'),
            'signals', json_build_object('failures', j.failures, 'leases_lost', j.losses)) END
    FROM claimed j JOIN @job_requests r ON r.job_id = j.id AND $theirs
), booked AS (
    INSERT INTO @calls (job_id, attempt, number, account_id, model, purpose)
    SELECT j.id, j.attempts, 1, j.account_id, j.first_call ->> 'model', j.first_call ->> 'purpose'
    FROM claimed j
)
"""

_CLAIM_COLUMNS = f"""
SELECT j.id AS job_id, j.claim_token AS token, j.account_id, j.feature_version_id,
    j.attempts AS attempt, j.tier_index, j.queue, j.failures, j.losses, j.maybe_billed,
    coalesce(extract(epoch FROM clock_timestamp() - j.held_since), 0)::float8 AS held_s,
    j.batch_id IS NOT NULL OR j.shadow_of IS NOT NULL AS backfill,
    j.shadow_of IS NOT NULL AS shadow, j.judged_attempt IS NOT NULL AS judges,
    j.cancel_requested_at IS NOT NULL AS cancel_requested,
    extract(epoch FROM j.deadline_at - clock_timestamp())::float8 AS remaining_s,
    extract(epoch FROM clock_timestamp() - j.created_at)::float8 AS age_s,
    r.input, j.shadow_of,
    {HOOKED_SQL} AS hooked, j.draft, j.first_call, r.user_key, r.session_key,
    j.shadow_of IS NULL AND EXISTS (SELECT FROM budgets b WHERE b.account_id = j.account_id)
        AS budgeted,
    (SELECT p.name FROM accounts o JOIN plans p ON p.name = o.plan
        WHERE o.id = j.account_id AND p.first_tier_only) AS first_tier_plan,
    e.number AS e_attempt, e.tier AS e_tier, e.verdict AS e_verdict, e.reason AS e_reason,
    e.text AS e_text, e.understood AS e_understood, e.model AS e_model
FROM $source j
JOIN @job_requests r ON r.job_id = j.id AND $theirs
LEFT JOIN LATERAL (
    SELECT a.number, a.tier, a.verdict, a.reason, a.model, w.text,
        w.output IS NOT NULL AS understood
    FROM @attempts a LEFT JOIN @answers w ON w.job_id = a.job_id AND w.attempt = a.number
    WHERE a.job_id = j.id AND a.verdict IN ({_CHECKED}) AND j.attempts > 1 AND a.tier <> j.tier
    ORDER BY a.number DESC LIMIT 1
) e ON true
"""

CLAIM_TEMPLATE = Template(_CLAIM + _CLAIM_COLUMNS.replace("$source", "claimed"))
CLAIM_AND_READ = CLAIM_TEMPLATE.substitute(
    these="jobs.id = %(job_id)s", fence="%(token)s", theirs="r.job_id = %(job_id)s"
)
READ_CLAIM = Template(_CLAIM_COLUMNS).substitute(
    theirs="r.job_id = %(job_id)s",
    source=f"""(
    SELECT jobs.*, {_OF_VERSION} FROM jobs JOIN feature_versions f ON f.id = feature_version_id
    WHERE jobs.id = %(job_id)s AND part < 2 AND claim_token = %(token)s AND status = 'in_progress'
)""",
)


def claim(
    connection: Connection[Any], job_id: UUID, token: UUID, queues: list[str], worker: str
) -> Claim | None:
    """Claim the job if it waits in one of `queues` and is due. None if it cannot be claimed.

    If several workers claim a job at the same time, only one gets it. After a cut connection, read
    the result with `claimed`.
    """
    parameters = {
        "job_id": job_id,
        "token": token,
        "queues": queues,
        "worker": worker,
        "in_progress": Status.IN_PROGRESS,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        statement = at_home(connection, CLAIM_AND_READ, job_id)
        row = cursor.execute(statement, parameters, prepare=True).fetchone()
        return None if row is None else read_claim(connection, row)


def claimed(connection: Connection[Any], job_id: UUID, token: UUID) -> Claim | None:
    """The claim of this token, if it is still valid. For use after a cut connection."""
    with connection.cursor(row_factory=dict_row) as cursor:
        statement = at_home(connection, READ_CLAIM, job_id)
        row = cursor.execute(statement, {"job_id": job_id, "token": token}).fetchone()
        return None if row is None else read_claim(connection, row)


def read_claim(connection: Connection[Any], row: dict[str, Any]) -> Claim:
    """The claim in a row of CLAIM_TEMPLATE's columns."""
    shadow_of = row.pop("shadow_of")
    if shadow_of is not None:
        request = connection.execute(at_home(connection, INPUT, shadow_of), (shadow_of,)).fetchone()
        row["input"] = None if request is None else request[0]
    names = ("attempt", "tier", "verdict", "reason", "text", "understood", "model")
    earlier = {name: row.pop(f"e_{name}") for name in names}
    verdict = earlier.pop("verdict")
    first_call = row.pop("first_call")  # a later release may store more keys
    return Claim(
        earlier=verdict and EarlierAnswer(verdict=Verdict(verdict), **earlier),
        first_call=FirstCall(first_call["model"], first_call["purpose"]),
        **row,
    )
