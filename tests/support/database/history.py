"""A database with a long history at rest: what ran ended, what was due to be removed is gone."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from tests.support.database.rows import add_account, add_feature, add_job, three_tiers, two_tiers
from tests.support.samples.judged_feature import SUMMARY
from tierline.base.ids import new_id
from tierline.features.parse import parse_feature

ACCOUNTS = 10
RETAINING = """
feature: retained
instructions: Repeat the text.
input: {type: object}
output: {type: string}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
retention: {inputs_days: 30, outputs_days: 10}
"""

# A tenth of all is from the last day, and a few of that from the last hour.
PAST = """
CREATE TEMP TABLE past AS
SELECT n, at, 1 + n %% %(accounts)s AS account_id,
    (%(versions)s::bigint[])[1 + n %% 4] AS version_id,
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(n %% 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id
FROM (
    SELECT n, clock_timestamp() - CASE
        WHEN n <= %(jobs)s * 9 / 10
            THEN interval '60 days' - n * interval '59 days' / (%(jobs)s * 0.9)
        ELSE interval '23 hours' * (%(jobs)s - n) / (%(jobs)s * 0.1) + interval '1 minute'
    END AS at
    FROM generate_series(1, %(jobs)s) n
) times
"""

FILLED = """
INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue, run_after,
    claim_token, attempts, created_at, started_at, completed_at, model, answer_attempt,
    input_removed_at, output_removed_at{part})
SELECT id, account_id, version_id, 'completed', 'slm', 0, 'slm', at, id, 1, at, at, at, 'small', 1,
    CASE WHEN version_id = {retained} AND at < now() - interval '721 hours' THEN now() END,
    CASE WHEN version_id = {retained} AND at < now() - interval '241 hours' THEN now() END{ended}
FROM past ORDER BY n;
INSERT INTO job_requests (job_id, input) SELECT id, '{{"text": "hello"}}' FROM past ORDER BY n;
INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, started_at, ended_at,
    latency_s, verdict, model)
SELECT id, 1, id, 'slm', 'slm', 'w', at, at, 0.1, 'passed', 'small' FROM past ORDER BY n;
INSERT INTO answers (job_id, attempt, text, output)
SELECT id, 1, '"hello"', '"hello"' FROM past ORDER BY n;
INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, answered_model, booked_at,
    settled_at, latency_s, input_tokens, output_tokens, cost_usd)
SELECT id, 1, 1, account_id, 'answer', 'openai:small', 'small', at, at, 0.1, 10, 10, 0.001
FROM past ORDER BY n;
INSERT INTO reservations (job_id, attempt, number, periods, amount_usd, settled_usd)
SELECT id, 1, 1, '{{}}', 0.002, 0.001 FROM past WHERE at > now() - interval '23 hours' ORDER BY n;
INSERT INTO idempotency_keys (account_id, key, job_id, payload_hash, created_at)
SELECT account_id, 'k' || n, id, 'x', at FROM past WHERE at > now() - interval '23 hours'
ORDER BY n;
INSERT INTO deliveries (id, account_id, url, target, job_id, event, body, status, tries,
    next_try_at, created_at, ended_at)
SELECT id, account_id, 'https://hooks.example.com', 'url:h', id, 'job.completed',
    CASE WHEN version_id <> {retained} THEN 'x'::bytea END, 'delivered', 1, at, at, at
FROM past ORDER BY n;
INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,
    calibration_id, served, inclusion, drawn, input_digest, noted_at, differs, reference_by,
    repeated, shadow_job_id, shadowed_at, judge, judge_job_id, judged_at, judged_same, created_at)
SELECT id, 1, 'summary', 'r', 'f', 'openai:small', '{{}}', {calibration}, true, 0.1, true,
    decode(md5(n::text), 'hex'), at, false, 'large', false, id, at, 'openai:judge', id, at, true, at
FROM past WHERE version_id = {judged} ORDER BY n;
INSERT INTO feedback (job_id, account_id, correct, created_at)
SELECT id, account_id, true, at FROM past WHERE n % 10 = 0;
INSERT INTO batches (id, account_id, feature_version_id, status, created_at, sealed_at,
    completed_at, input_removed_at)
SELECT id, account_id, version_id,
    CASE WHEN n % 40 = 0 THEN 'cancelled' ELSE 'completed' END, at, at, at,
    CASE WHEN version_id = {retained} AND at < now() - interval '30 days' THEN now() END
FROM past WHERE n % 20 < 4 ORDER BY n;
INSERT INTO operations (feature, kind, account_id, options, status, created_at, completed_at)
SELECT 'summary', 'router', account_id, '{{}}', 'completed', at, at FROM past WHERE n % 100 = 0
"""


@dataclass(frozen=True)
class History:
    """What a filled database holds."""

    jobs: int
    plain: int  # the versions' ids
    retained: int
    judged: int
    three: int


def fill(connection: psycopg.Connection[Any], jobs: int) -> History:
    """Write `jobs` ended jobs of the last 60 days, with all that belongs to them. The database may
    be that of 0.2.0, too.
    """
    for number in range(ACCOUNTS):
        add_account(connection, f"account-{number}")
    versions = [
        add_feature(connection, feature)
        for feature in (
            two_tiers("plain"),
            parse_feature(RETAINING),
            parse_feature(SUMMARY.format(name="summary")),
            three_tiers("three"),
        )
    ]
    made = History(jobs, *versions)
    calibration = 1
    apart = connection.execute("SELECT to_regclass('jobs_ended') IS NOT NULL").fetchone() == (True,)
    with connection.transaction():
        connection.execute(PAST, {"accounts": ACCOUNTS, "jobs": jobs, "versions": versions})
        for statement in FILLED.split(";"):
            connection.execute(
                statement.format(
                    retained=made.retained,
                    judged=made.judged,
                    calibration=calibration,
                    part=", part" if apart else "",
                    ended=", 2" if apart else "",
                ).encode()
            )
        # It was swept a minute ago.
        connection.execute(
            "INSERT INTO rollup_cursors (name, up_to)"
            " VALUES ('tiers_seen', now() - interval '1 minute')"
        )
        if apart:
            connection.execute(
                "UPDATE sums_state SET rolled_to = next.number, visible_to = next.number"
                " FROM (SELECT nextval('attempt_numbers') AS number) next"
            )
    connection.execute("VACUUM ANALYZE")
    return made


def add_work(connection: psycopg.Connection[Any], past: History) -> None:
    """A little for each periodic statement to do, beside that history."""
    for account in (1, 2):
        for version in (past.plain, past.three):
            for _ in range(5):
                add_job(connection, account, version)
    add_job(connection, 3, past.plain, deadline_at="2020-01-01T00:00:00Z")
    add_job(connection, 3, past.plain, hint_no=0)
    for _ in range(3):  # they ended and are in no sum yet
        job = add_job(
            connection,
            *(3, past.three),
            status="completed",
            attempts=1,
            completed_at="now",
            part=2,
        )
        connection.execute(
            "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at,"
            " verdict) VALUES (%s, 1, %s, 'slm', 'slm', 'w', clock_timestamp(), 'passed')",
            (job, job),
        )
        connection.execute(
            "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, settled_at)"
            " VALUES (%s, 1, 1, 3, 'answer', 'openai:small', clock_timestamp())",
            (job,),
        )
    add_job(connection, 3, past.plain, status="in_progress", claim_token=new_id(), attempts=1)
    for status in ("cancelled", "sealed"):
        batch = new_id()
        connection.execute(
            "INSERT INTO batches (id, account_id, feature_version_id, status)"
            " VALUES (%s, 4, %s, %s)",
            (batch, past.plain, status),
        )
        if status == "cancelled":
            add_job(connection, 4, past.plain, batch_id=batch, batch_row=1)
    for hint_no in (None, 0):
        job = _some_ended(connection, past.plain)
        connection.execute(
            "INSERT INTO deliveries (id, account_id, url, target, job_id, event, body, status,"
            " hint_no) VALUES (%s, 5, 'https://hooks.example.com', 'url:h', %s, 'job.completed',"
            " 'x', 'pending', %s)",
            (new_id(), job, hint_no),
        )
    # What is past its time: content, keys and reservations.
    for content in ("inputs", "outputs"):
        connection.execute(
            f"UPDATE jobs SET {content[:-1]}_removed_at = NULL WHERE id IN ("
            " SELECT id FROM jobs WHERE feature_version_id = %s ORDER BY id LIMIT 20)",
            (past.retained,),
        )
        connection.execute(
            "INSERT INTO retention_left SELECT id, %s, feature_version_id, completed_at FROM jobs"
            " WHERE feature_version_id = %s ORDER BY id LIMIT 20",
            (content, past.retained),
        )
    connection.execute(
        "UPDATE idempotency_keys SET created_at = created_at - interval '1 day'"
        " WHERE (account_id, key) IN (SELECT account_id, key FROM idempotency_keys LIMIT 20)"
    )
    connection.execute(
        "UPDATE reservations SET made_at = made_at - interval '2 days'"
        " WHERE job_id IN (SELECT job_id FROM reservations LIMIT 20)"
    )
    connection.execute(
        "UPDATE outcomes SET noted_at = NULL, judged_at = NULL, judge_job_id = NULL"
        " WHERE job_id IN (SELECT job_id FROM outcomes ORDER BY seq DESC LIMIT 20)"
    )
    connection.execute(
        "UPDATE outcomes SET shadow_due = true, shadow_job_id = NULL, noted_at = NULL,"
        " created_at = clock_timestamp(), served = true"
        " WHERE job_id IN (SELECT job_id FROM outcomes ORDER BY seq DESC LIMIT 10)"
    )


def _some_ended(connection: psycopg.Connection[Any], version: int) -> UUID:
    row = connection.execute(
        "SELECT id FROM jobs WHERE feature_version_id = %s ORDER BY id DESC LIMIT 1", (version,)
    ).fetchone()
    assert row is not None
    return UUID(str(row[0]))
