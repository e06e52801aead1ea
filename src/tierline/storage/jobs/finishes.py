"""Calls of an attempt, and its end.

Each is one statement in its own transaction and names its claim token. Each is safe to repeat after
a cut connection; `standing` then reads what the first run did.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.rules.jobs import Status, Transition
from tierline.rules.verdicts import Verdict
from tierline.storage.db.homes import at_home
from tierline.storage.evidence.outcomes import AnswerOutcome, parameters_of
from tierline.storage.jobs.claims import Claim
from tierline.storage.webhooks.deliveries import HOOKED_SQL


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

SETTLE = f"""
    UPDATE @calls SET {CALL_SET}
    WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND number = %(c_number)s
        AND settled_at IS NULL
"""

_BOOK = """
    INSERT INTO @calls (job_id, attempt, number, account_id, model, purpose)
    VALUES (%(job_id)s, %(attempt)s, %(next)s, %(account_id)s, %(next_model)s, %(next_purpose)s)
    ON CONFLICT (job_id, attempt, number) DO NOTHING
"""

SETTLE_AND_BOOK = f"WITH settled AS ({SETTLE}) {_BOOK}"

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
), settled AS ({SETTLE})
"""

_OUTCOME = """, outcome AS (
    INSERT INTO @outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals, score,
        calibration_id, served, inclusion, drawn, shadow_due, input_digest, fits_scores, vector,
        judge)
    SELECT done.id, %(attempt)s, %(o_feature)s, %(o_recipe)s, %(o_fingerprint)s, %(o_models)s,
        %(o_signals)s::json, %(o_score)s, %(o_calibration_id)s, %(o_served)s, %(o_inclusion)s,
        %(o_drawn)s, %(o_served)s AND %(o_drawn)s, %(o_input_digest)s,
        %(o_fits_scores)s, %(o_vector)s, %(o_judge)s
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
    home = at_home(connection, statement, job_id)
    row = connection.execute(home, parameters, prepare=True).fetchone()
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
