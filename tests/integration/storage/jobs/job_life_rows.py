"""Reads a job's rows as the model of `job_life.py` holds it."""

from typing import Any
from uuid import UUID

from psycopg import Connection

from tests.integration.storage.jobs.job_life import Attempt, Call, Life
from tierline.rules.jobs import TERMINAL, JobState, Status
from tierline.rules.verdicts import Verdict

READ = """
SELECT j.status, j.tier_index, j.failures, j.losses, j.maybe_billed,
    j.cancel_requested_at IS NOT NULL, coalesce(j.deadline_at <= clock_timestamp(), false),
    r.webhook_url IS NOT NULL, j.run_after > clock_timestamp(),
    CASE j.status WHEN 'in_progress' THEN j.claim_token END,
    j.answer_attempt, j.error_code,
    ARRAY(SELECT event FROM deliveries WHERE job_id = j.id ORDER BY event),
    (SELECT count(*) FROM endings WHERE job_id = j.id), j.queue
FROM jobs j JOIN job_requests r ON r.job_id = j.id WHERE j.id = %s
"""
ATTEMPTS = "SELECT number, claim_token, verdict FROM attempts WHERE job_id = %s ORDER BY number"
CALLS = """
SELECT attempt, number, settled_at IS NOT NULL, cost_usd FROM calls WHERE job_id = %s
ORDER BY attempt, number
"""


def read_life(connection: Connection[Any], job_id: UUID) -> Life:
    """The job as its rows hold it. Its attempts must be numbered without a gap."""
    row = connection.execute(READ, (job_id,)).fetchone()
    assert row is not None
    attempts = connection.execute(ATTEMPTS, (job_id,)).fetchall()
    calls = connection.execute(CALLS, (job_id,)).fetchall()
    status, tier, failures, losses, billed, cancelled, late, hooked, delayed, token = row[:10]
    served, error, events, endings, queue = row[10:]
    assert [number for number, _, _ in attempts] == list(range(1, len(attempts) + 1))
    life = Life(
        state=JobState(
            Status(status),
            tier,
            failures=failures,
            losses=losses,
            maybe_billed=billed,
            cancel_requested=cancelled,
            deadline_passed=late,
        ),
        hooked=hooked,
        delayed=delayed,
        token=token,
        attempts=tuple(
            Attempt(own, None if verdict is None else Verdict(verdict))
            for _, own, verdict in attempts
        ),
        calls=tuple(((attempt, n), Call(done, cost)) for attempt, n, done, cost in calls),
        served=served,
        error=error,
        events=tuple(events),
        endings=endings,
    )
    assert status in TERMINAL or queue == life.queue
    return life
