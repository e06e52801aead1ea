"""A worker's statements: claiming a job, booking its calls and ending an attempt.

Each is one statement in its own transaction and names its claim token. Each is safe to repeat after
a cut connection; `claimed` and `standing` then read what the first run did. No locks are held
between statements, so no transaction is open while a model answers.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from string import Template
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.rules.jobs import Status, Transition
from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.storage.db.homes import at_home
from tierline.storage.evidence.calibrations import AnswerOutcome, parameters_of
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


@dataclass(frozen=True)
class Settlement:
    """How one call ended, to be stored in its row."""

    number: int
    purpose: str
    model: str  # the requested model, as provider:model
    latency_s: float
    answered_model: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: Decimal | None = None
    error: str | None = None
    provider_request_id: str | None = None
    service_tier: str | None = None  # as the provider reports it

    def parameters(self) -> dict[str, object]:
        return {f"c_{name}": value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Ended:
    """How an attempt ended, to be stored in its row and in the job's."""

    verdict: Verdict
    reason: str | None
    latency_s: float
    model: str | None = None  # the exact model that answered
    text: str | None = None  # the answer as the model gave it; None: no answer
    output: Any = None  # the parsed answer
    understood: bool = False  # whether the answer was parsed, so that `output` is set
    repaired: bool | None = None
    confidence: float | None = None
    trace: Any = None  # JSON, only for a draft's job: the messages and texts of its calls
    routing: Any = None  # JSON, a decision made before any call; replaces the claim's decision
    outcome: AnswerOutcome | None = None  # set if the answer is recorded for later comparison


@dataclass(frozen=True)
class _Served:
    """The attempt whose answer becomes the job's output."""

    attempt: int
    model: str | None


@dataclass(frozen=True)
class Standing:
    """The job's current row, which is read if a finish did not apply."""

    status: Status
    token: UUID | None
    cancel_requested: bool
    deadline_passed: bool
    hooked: bool
    verdict: Verdict | None  # of the claim's attempt


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

# How the last call ended, in its row.
CALL_SET = """
        settled_at = clock_timestamp(), purpose = %(c_purpose)s, model = %(c_model)s,
        latency_s = %(c_latency_s)s, answered_model = %(c_answered_model)s,
        input_tokens = %(c_input_tokens)s, cached_input_tokens = %(c_cached_input_tokens)s,
        cache_write_5m_tokens = %(c_cache_write_5m_tokens)s,
        cache_write_1h_tokens = %(c_cache_write_1h_tokens)s,
        output_tokens = %(c_output_tokens)s, reasoning_tokens = %(c_reasoning_tokens)s,
        cost_usd = %(c_cost_usd)s, error = %(c_error)s,
        provider_request_id = %(c_provider_request_id)s, service_tier = %(c_service_tier)s
"""

_SETTLE = f"""
    UPDATE @calls SET {CALL_SET}
    WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND number = %(c_number)s
        AND settled_at IS NULL
"""

_BOOK = """
    INSERT INTO @calls (job_id, attempt, number, account_id, model, purpose)
    VALUES (%(job_id)s, %(attempt)s, %(next)s, %(account_id)s, %(next_model)s, %(next_purpose)s)
    ON CONFLICT (job_id, attempt, number) DO NOTHING
"""

SETTLE_AND_BOOK = f"WITH settled AS ({_SETTLE}) {_BOOK}"

# A job that ends moves to the partitions of ended jobs, because its `part` changes. The settlement
# does not depend on the claim token: a call that was made has a cost, even if another worker holds
# the job now. `storage.jobs.finish_together` finishes several.
JOB_SET = """
        status = %(status)s, tier_index = %(tier_index)s, tier = %(tier)s, queue = %(queue)s,
        run_after = clock_timestamp() + make_interval(secs => %(wait_s)s),
        failures = %(failures)s, losses = %(losses)s, maybe_billed = %(maybe_billed)s,
        held_since = CASE WHEN %(held)s THEN coalesce(j.held_since, clock_timestamp()) END,
        completed_at = CASE WHEN %(terminal)s THEN clock_timestamp() END,
        model = %(model)s, answer_attempt = %(answer_attempt)s, unverified = %(unverified)s,
        error_code = %(error_code)s, error_message = %(error_message)s,
        blocked_reason = %(blocked_reason)s,
        escalation_reason = coalesce(%(escalation_reason)s, j.escalation_reason),
        part = CASE WHEN %(terminal)s THEN 2 ELSE 1 END
"""
# The token still holds the job j with the request r, and its state is as assumed.
FENCE = f"""
        j.status = 'in_progress' AND j.claim_token = %(token)s
        AND (%(unconditional)s OR (
            (j.cancel_requested_at IS NOT NULL) = %(cancel_requested)s
            AND coalesce(j.deadline_at <= clock_timestamp(), false) = %(deadline_passed)s))
        AND (%(announced)s OR NOT ({HOOKED_SQL}))
"""
ATTEMPT_SET = """
        ended_at = clock_timestamp(), latency_s = %(latency_s)s, verdict = %(verdict)s,
        reason = %(reason)s, model = %(answered_by)s, repaired = %(repaired)s,
        confidence = %(confidence)s, routing = coalesce(%(routing)s::json, a.routing)
"""
ANSWER = "%(attempt)s, %(text)s, %(output)s::json, %(trace)s::json"

_FINISH = f"""
WITH done AS (
    UPDATE jobs j SET {JOB_SET}
    FROM @job_requests r
    WHERE j.id = %(job_id)s AND j.part < 2 AND r.job_id = j.id AND {FENCE}
    RETURNING j.id
), ended AS (
    UPDATE @attempts a SET {ATTEMPT_SET}
    FROM done WHERE a.job_id = done.id AND a.number = %(attempt)s
), answered AS (
    INSERT INTO @answers (job_id, attempt, text, output, trace)
    SELECT done.id, {ANSWER} FROM done WHERE %(text)s::text IS NOT NULL
), settled AS ({_SETTLE})
"""

_OUTCOME = """, outcome AS (
    INSERT INTO @outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals, score,
        calibration_id, served, inclusion, drawn, shadow_due, input_digest, vector, judge)
    SELECT done.id, %(attempt)s, %(o_feature)s, %(o_recipe)s, %(o_fingerprint)s, %(o_models)s,
        %(o_signals)s::json, %(o_score)s, %(o_calibration_id)s, %(o_served)s, %(o_inclusion)s,
        %(o_drawn)s, %(o_served)s AND %(o_drawn)s, %(o_input_digest)s,
        %(o_vector)s, %(o_judge)s
    FROM done
)
"""
_APPLIED = "SELECT count(*) FROM done"

FINISH = _FINISH + _APPLIED
FINISH_WITH_OUTCOME = _FINISH + _OUTCOME + _APPLIED

STANDING = f"""
SELECT j.status, j.claim_token, j.cancel_requested_at IS NOT NULL AS cancel_requested,
    coalesce(j.deadline_at <= clock_timestamp(), false) AS deadline_passed,
    {HOOKED_SQL} AS hooked, a.verdict
FROM jobs j JOIN @job_requests r ON r.job_id = j.id
LEFT JOIN @attempts a ON a.job_id = j.id AND a.number = %(attempt)s
WHERE j.id = %(job_id)s
"""


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
        row = cursor.execute(statement, parameters).fetchone()
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
        asked = connection.execute(at_home(connection, INPUT, shadow_of), (shadow_of,)).fetchone()
        row["input"] = None if asked is None else asked[0]
    names = ("attempt", "tier", "verdict", "reason", "text", "understood", "model")
    earlier = {name: row.pop(f"e_{name}") for name in names}
    verdict = earlier.pop("verdict")
    first_call = row.pop("first_call")  # a later release may store more keys
    return Claim(
        earlier=verdict and EarlierAnswer(verdict=Verdict(verdict), **earlier),
        first_call=FirstCall(first_call["model"], first_call["purpose"]),
        **row,
    )


def settle_and_book(
    connection: Connection[Any], claim: Claim, settled: Settlement, purpose: str, model: str
) -> None:
    """Settle one call and book the next, before the next call is sent. Safe to repeat."""
    connection.execute(
        at_home(connection, SETTLE_AND_BOOK, claim.job_id),
        {
            "job_id": claim.job_id,
            "attempt": claim.attempt,
            "account_id": claim.account_id,
            "next": settled.number + 1,
            "next_purpose": purpose,
            "next_model": model,
            **settled.parameters(),
        },
    )


def finish(
    connection: Connection[Any],
    claim: Claim,
    *,
    tier: str,
    queue: str,
    transition: Transition,
    assumed: Standing,
    ended: Ended,
    settled: Settlement,
    announced: bool,
) -> bool:
    """End the attempt and change its job, if the token still holds the job and its state is as
    `assumed`.

    False if not: read `standing` and decide again. `announced` means that the caller writes the
    webhook deliveries in the same transaction. Without it, a job with a webhook is not changed.
    The call's cost is settled in every case.
    """
    parameters = finish_parameters(
        claim,
        tier=tier,
        queue=queue,
        transition=transition,
        assumed=assumed,
        ended=ended,
        settled=settled,
        announced=announced,
    )
    if ended.outcome is None:
        return finish_with(connection, claim.job_id, parameters)
    parameters |= parameters_of(ended.outcome)
    return finish_with(connection, claim.job_id, parameters, FINISH_WITH_OUTCOME)


def finish_with(
    connection: Connection[Any],
    job_id: UUID,
    parameters: Mapping[str, object],
    statement: str = FINISH,
) -> bool:
    """`finish` with its parameters as `finish_parameters` made them."""
    row = connection.execute(at_home(connection, statement, job_id), parameters).fetchone()
    return row is not None and row[0] == 1


def finish_parameters(
    claim: Claim,
    *,
    tier: str,
    queue: str,
    transition: Transition,
    assumed: Standing,
    ended: Ended,
    settled: Settlement,
    announced: bool,
) -> dict[str, object]:
    """The parameters of FINISH, as `finish` explains them."""
    return {
        **_attempt_parameters(claim, ended),
        **_job_parameters(claim, transition, ended),
        **settled.parameters(),
        "tier": tier,
        "queue": queue,
        "cancel_requested": assumed.cancel_requested,
        "deadline_passed": assumed.deadline_passed,
        "announced": announced,
    }


def _job_parameters(claim: Claim, transition: Transition, ended: Ended) -> dict[str, object]:
    after, error = transition.job, transition.error
    served = _served(claim, transition, ended)
    return {
        "status": after.status,
        "tier_index": after.tier_index,
        "wait_s": transition.wait_s,
        "failures": after.failures,
        "losses": after.losses,
        "maybe_billed": after.maybe_billed,
        "held": transition.held,
        "terminal": transition.terminal,
        "model": served and served.model,
        "answer_attempt": served and served.attempt,
        "unverified": transition.unverified,
        "blocked_reason": transition.blocked and transition.blocked.reason,
        "error_code": error and error.code,
        "error_message": error and error.message,
        "escalation_reason": transition.escalation_reason,
        # An answer that passed takes precedence over a cancel and a deadline.
        "unconditional": after.status is Status.COMPLETED and not transition.unverified,
    }


def _attempt_parameters(claim: Claim, ended: Ended) -> dict[str, object]:
    return {
        "job_id": claim.job_id,
        "token": claim.token,
        "attempt": claim.attempt,
        "latency_s": ended.latency_s,
        "verdict": ended.verdict,
        "reason": ended.reason,
        "answered_by": ended.model,
        "repaired": ended.repaired,
        "confidence": ended.confidence,
        "routing": None if ended.routing is None else json.dumps(ended.routing),
        "text": ended.text,
        "output": json.dumps(ended.output) if ended.understood else None,
        "trace": None if ended.trace is None else json.dumps(ended.trace),
    }


def _served(claim: Claim, transition: Transition, ended: Ended) -> _Served | None:
    if transition.serve_earlier:
        assert claim.earlier is not None, "there is an earlier answer to serve"
        return _Served(claim.earlier.attempt, claim.earlier.model)
    return _Served(claim.attempt, ended.model) if transition.serve_answer else None


def standing(connection: Connection[Any], claim: Claim) -> Standing | None:
    """The job's current state. None if it was removed."""
    row = connection.execute(
        at_home(connection, STANDING, claim.job_id),
        {"job_id": claim.job_id, "attempt": claim.attempt},
    ).fetchone()
    if row is None:
        return None
    status, token, cancel_requested, deadline_passed, hooked, verdict = row
    return Standing(
        Status(status),
        token,
        cancel_requested,
        deadline_passed,
        hooked,
        Verdict(verdict) if verdict is not None else None,
    )
