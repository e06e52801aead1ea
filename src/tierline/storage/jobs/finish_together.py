"""Ends of several attempts in one statement, which costs less than a statement for each.

Each attempt is ended under its own token, or not at all, as `finishes.finish` says. A job whose row
is locked is left out, so that none waits for another one. If one of them cannot be written because
of an error, none is.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.storage.db.homes import at_home
from tierline.storage.jobs.finishes import (
    ANSWER,
    ATTEMPT_SET,
    CALL_SET,
    FENCE,
    JOB_SET,
    finish_with,
)

Finish = Mapping[str, object]
"""The parameters of one finish, by `finishes.finish_parameters`."""

# Their types, in JSON.
_COLUMNS = """
    job_id uuid, token uuid, attempt int, latency_s float8, verdict text, reason text,
    answered_by text, repaired bool, confidence float8, routing text, text text, output text,
    trace text, status text, tier_index smallint, tier text, queue text, wait_s float8,
    failures smallint, losses smallint, maybe_billed smallint, held bool, terminal bool, model text,
    answer_attempt int, unverified bool, blocked_reason text, error_code text, error_message text,
    escalation_reason text, unconditional bool, cancel_requested bool, deadline_passed bool,
    announced bool, c_number smallint, c_purpose text, c_model text, c_latency_s float8,
    c_answered_model text, c_input_tokens int, c_cached_input_tokens int,
    c_cache_write_5m_tokens int, c_cache_write_1h_tokens int, c_output_tokens int,
    c_reasoning_tokens int, c_cost_usd numeric, c_error text, c_provider_request_id text,
    c_service_tier text
"""


def _of_each(part: str) -> str:
    """A part of the statement that finishes one, with the values of each finish e."""
    return re.sub(r"%\((\w+)\)s", r"e.\1", part)


# Rows are read by the jobs' ids, whatever way the planner joins them: a plan that was made while
# the tables were nearly empty would read all of them later. A job may be in two finishes, by a
# token that lost it and by the one that holds it, so the rest goes by the token.
FINISH_THESE = f"""
WITH e AS MATERIALIZED (SELECT * FROM json_to_recordset(%(finishes)s::json) AS e ({_COLUMNS})),
done AS (
    UPDATE jobs j SET {_of_each(JOB_SET)}
    FROM e, @job_requests r
    WHERE j.id = ANY(ARRAY(
            SELECT id FROM jobs WHERE part < 2 AND id = ANY(%(job_ids)s) AND status = 'in_progress'
            FOR UPDATE SKIP LOCKED))
        AND j.part < 2 AND e.job_id = j.id AND r.job_id = ANY(%(job_ids)s) AND r.job_id = j.id
        AND {_of_each(FENCE)}
    RETURNING j.id, j.claim_token AS token
), ended AS (
    UPDATE @attempts a SET {_of_each(ATTEMPT_SET)}
    FROM done JOIN e ON e.token = done.token
    WHERE a.job_id = ANY(%(job_ids)s) AND a.job_id = done.id AND a.number = e.attempt
), answered AS (
    INSERT INTO @answers (job_id, attempt, text, output, trace)
    SELECT done.id, {_of_each(ANSWER)} FROM done JOIN e ON e.token = done.token
    WHERE e.text IS NOT NULL
), settled AS (
    UPDATE @calls c SET {_of_each(CALL_SET)}
    FROM e
    WHERE c.job_id = ANY(%(job_ids)s) AND c.job_id = e.job_id AND c.attempt = e.attempt
        AND c.number = e.c_number AND c.settled_at IS NULL
)
SELECT token FROM done
"""


def finish_together(connection: Connection[Any], finishes: Iterable[Finish]) -> set[UUID]:
    """The tokens whose jobs were changed. The costs of all are settled.

    Each of the others was locked, or is not as assumed: try it alone with `finishes.finish`. Raises
    ValueError if a number is none that JSON knows.
    """
    done: set[UUID] = set()

    def statement_of(one: Finish) -> str:
        return at_home(connection, FINISH_THESE, job_of(one))

    for statement, group in groupby(sorted(finishes, key=statement_of), key=statement_of):
        these = list(group)
        document = json.dumps(these, default=_as_json, allow_nan=False)
        rows = connection.execute(
            statement,
            {"finishes": document, "job_ids": [one["job_id"] for one in these]},
            prepare=True,
        )
        done.update(token for (token,) in rows)
    return done


def finish_one(connection: Connection[Any], finish: Finish) -> bool:
    """The same for one, with the statement for one. It waits if the job's row is locked."""
    return finish_with(connection, job_of(finish), finish)


def job_of(finish: Finish) -> UUID:
    job_id = finish["job_id"]
    assert isinstance(job_id, UUID)
    return job_id


def _as_json(value: object) -> str:
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"a finish has a {type(value).__name__}")
