"""A judge's calls are calls of jobs, like any other; what `judge_calls` holds is copied there.

Until now the sweep asked judges itself and wrote `judge_calls`, which no sum counted. Processes of
0.1 that still run go on writing it. A trigger copies each of their rows as it is written and as it
is settled, so that no cost is counted late. The rows that are there already are copied by the same
function, some at a time; to copy a row twice changes nothing.

A copied row becomes a job with one attempt and one call, with the time and the cost of the row. The
job's id is made of the row's time and id, as a UUIDv7, so that reports find it in its window.

Calls of shadows get the purpose `shadow`, and those of evaluations' judges `judge`.

A release after 0.2 drops `judge_calls`, and with it the trigger `judge_calls_copied` and the
functions `copy_judge_call` and `copied_judge_call`.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import build

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

AT_ONCE = 2_000  # rows of one transaction: some 100 ms

COPY = """
CREATE OR REPLACE FUNCTION copy_judge_call(one judge_calls) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made uuid := (
        lpad(to_hex(floor(extract(epoch FROM one.asked_at) * 1000)::bigint), 12, '0')
        || '70008000' || lpad(to_hex(one.id), 12, '0'))::uuid;
    settled boolean := num_nonnulls(one.answered_model, one.cost_usd, one.error) > 0;
    verdict text := CASE
        WHEN NOT settled THEN NULL
        WHEN one.error IS NOT NULL THEN split_part(one.error, ':', 1)
        WHEN one.same IS NOT NULL THEN 'passed'
        ELSE 'malformed' END;
BEGIN
    INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue,
        attempts, created_at, started_at, completed_at, input_removed_at, output_removed_at,
        model, shadow_of, judged_attempt)
    SELECT made, j.account_id, j.feature_version_id,
        CASE WHEN one.error IS NULL THEN 'completed' ELSE 'failed' END, 'judge', 0, 'maintenance',
        1, one.asked_at, one.asked_at, one.asked_at, one.asked_at, one.asked_at,
        one.answered_model, j.id, one.attempt
    FROM jobs j WHERE j.id = one.job_id
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, model = excluded.model;

    INSERT INTO job_requests (job_id) SELECT made FROM jobs WHERE id = made
    ON CONFLICT (job_id) DO NOTHING;

    INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, started_at, ended_at,
        verdict, reason, model)
    SELECT made, 1, made, 'judge', 'maintenance', 'sweep', one.asked_at,
        CASE WHEN settled THEN one.asked_at END, verdict, one.error, one.answered_model
    FROM jobs WHERE id = made
    ON CONFLICT (job_id, number) DO UPDATE SET ended_at = excluded.ended_at,
        verdict = excluded.verdict, reason = excluded.reason, model = excluded.model;

    INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, answered_model,
        booked_at, settled_at, input_tokens, output_tokens, cost_usd, error)
    SELECT made, 1, 1, account_id, 'judge', one.model, one.answered_model, one.asked_at,
        CASE WHEN settled THEN one.asked_at END, one.input_tokens, one.output_tokens,
        one.cost_usd, one.error
    FROM jobs WHERE id = made
    ON CONFLICT (job_id, attempt, number) DO UPDATE SET
        answered_model = excluded.answered_model, settled_at = excluded.settled_at,
        input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
        cost_usd = excluded.cost_usd, error = excluded.error;
END
$$
"""

COPIED = """
CREATE OR REPLACE FUNCTION copied_judge_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM copy_judge_call(NEW);
    RETURN NULL;
END
$$
"""

# The rows are locked while they are copied. A process of 0.1 that settles one meanwhile waits for
# that, and its settlement is copied after the row was; not before, and then overwritten.
COPY_SOME = """
SELECT one.id, copy_judge_call(one.written) FROM (
    SELECT j.id, j AS written FROM judge_calls j
    WHERE j.id > :after ORDER BY j.id LIMIT :most FOR UPDATE
) one ORDER BY one.id
"""

# Along the primary key of the table that names the jobs.
PURPOSES = """
WITH next AS (
    SELECT {keys}, {job} AS named FROM {table} WHERE {job} IS NOT NULL {behind}
    ORDER BY {keys} LIMIT :most
), renamed AS (
    UPDATE calls SET purpose = '{purpose}' FROM next
    WHERE calls.job_id = next.named AND calls.purpose <> '{purpose}'
)
SELECT {keys} FROM next ORDER BY ({keys}) DESC LIMIT 1
"""


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column(
            "judged_attempt",
            sa.Integer(),
            comment="the attempt of shadow_of whose answer it judges; null: it is no judge's job",
        ),
        if_not_exists=True,
    )
    op.add_column(
        "outcomes",
        sa.Column("judge_job_id", sa.Uuid(), comment="the job that asks its judge; null: none yet"),
        if_not_exists=True,
    )
    op.create_table_comment(
        "judge_calls",
        "what processes of 0.1 write, which a trigger copies to calls; to be dropped",
        existing_comment="calls that compare two answers; a row is there before its call is sent",
    )
    # The feature's version first: a day's judges are found by it.
    build(
        [
            (
                "jobs_judges_idx",
                "jobs",
                "feature_version_id, created_at",
                "judged_attempt IS NOT NULL",
            )
        ]
    )
    with op.get_context().autocommit_block():
        op.execute(COPY)
        op.execute(COPIED)
        op.execute("DROP TRIGGER IF EXISTS judge_calls_copied ON judge_calls")
        op.execute(
            "CREATE TRIGGER judge_calls_copied AFTER INSERT OR UPDATE ON judge_calls"
            " FOR EACH ROW EXECUTE FUNCTION copied_judge_call()"
        )
        _copy_what_is_there()
        _rename("outcomes", ("job_id", "attempt"), "shadow_job_id", "shadow")
        _rename(
            "evaluation_judgements",
            ("evaluation_id", "tier", "number", "swapped"),
            "job_id",
            "judge",
        )


def _copy_what_is_there() -> None:
    after: int | None = 0
    while after is not None:
        given = {"after": after, "most": AT_ONCE}
        rows = op.get_bind().execute(sa.text(COPY_SOME), given).all()
        after = rows[-1].id if rows else None


def _rename(table: str, keys: tuple[str, ...], job: str, purpose: str) -> None:
    """Give the calls of the jobs that `table` names in `job` their purpose."""
    names = ", ".join(keys)
    behind, given = "", {"most": AT_ONCE}
    while True:
        statement = PURPOSES.format(
            keys=names, table=table, job=job, purpose=purpose, behind=behind
        )
        row = op.get_bind().execute(sa.text(statement), given).one_or_none()
        if row is None:
            return
        behind = f"AND ({names}) > ({', '.join(f':{key}' for key in keys)})"
        given = {"most": AT_ONCE, **row._mapping}
