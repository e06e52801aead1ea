"""Rows put straight into the tables, for tests of what happens after submission."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tierline.base.ids import new_id
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.rules.queues import lane
from tierline.storage.features.features import first_calls

TWO_TIERS = """
feature: {name}
description: Echoes a text.
instructions: Repeat the text.
input:
  type: object
  required: [text]
  properties: {{text: {{type: string}}}}
output:
  type: object
  required: [text]
  properties: {{text: {{type: string}}}}
tiers:
  - name: slm
    models: [openai:small]
    max_tokens: 50
    timeout_s: 5
  - name: frontier
    models: [openai:large]
    max_tokens: 50
    timeout_s: 5
"""

Connection = psycopg.Connection[Any]


def two_tiers(name: str = "echo") -> Feature:
    """A feature with two tiers on an OpenAI-compatible server, and no check but its schema."""
    return parse_feature(TWO_TIERS.format(name=name))


def three_tiers(name: str = "three") -> Feature:
    """A feature whose tiers slm, mid and frontier ask openai:small, openai:mid and openai:large."""
    mid = "  - {name: mid, models: [openai:mid], max_tokens: 50, timeout_s: 5}\n"
    return parse_feature(
        TWO_TIERS.format(name=name).replace("  - name: frontier", f"{mid}  - name: frontier")
    )


MICRO_FIRST = """
feature: {name}
instructions: Name the kind.
input: {{type: object}}
output: {{type: string, enum: [billing, login]}}
tiers:
  - {{name: micro, models: [micro:all-MiniLM-L6-v2]}}
  - {{name: slm, models: [openai:small]}}
  - {{name: frontier, models: [openai:large]}}
shadow: {{share: 0.02}}
"""


def micro_first(name: str = "kinds") -> Feature:
    """A feature whose tiers are micro, slm and frontier."""
    return parse_feature(MICRO_FIRST.format(name=name))


ONE_TIER = """
feature: {name}
description: Echoes a text.
instructions: Repeat the text.
input: {{type: object}}
output: {{type: string}}
tiers:
  - {{name: slm, models: ["{model}"], max_tokens: 5, timeout_s: {timeout_s}}}
"""


def one_tier(name: str, model: str, timeout_s: int = 5) -> Feature:
    """A feature whose only tier asks `model`."""
    return parse_feature(ONE_TIER.format(name=name, model=model, timeout_s=timeout_s))


def add_account(connection: Connection, name: str, weight: int = 1) -> int:
    """An account; its id."""
    row = connection.execute(
        "INSERT INTO accounts (name, weight, webhook_secret)"
        " VALUES (%s, %s, 'whsec_dGVzdC1zZWNyZXQtb2YtMjQtYnl0ZXM=') RETURNING id",
        (name, weight),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_feature(connection: Connection, feature: Feature, version: int = 1) -> int:
    """A feature's version, current from now on; its id."""
    row = connection.execute(
        "INSERT INTO feature_versions (name, version, document, source, fingerprint, first_calls)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (
            feature.name,
            version,
            json.dumps(feature.to_dict()),
            json.dumps(feature.to_dict()),
            feature.fingerprint(),
            json.dumps(first_calls(feature)),
        ),
    ).fetchone()
    assert row is not None
    connection.execute(
        "INSERT INTO features VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET version_id = excluded.version_id",
        (feature.name, row[0]),
    )
    return int(row[0])


def of_a_later_release(connection: Connection, version_id: int) -> None:
    """As if the version had been written by one: it says what this release does not know."""
    connection.execute(
        'UPDATE feature_versions SET document = document || \'{"guard": {"model": "a:b"}}\''
        " WHERE id = %s",
        (version_id,),
    )


def add_job(
    connection: Connection,
    account_id: int,
    version_id: int,
    *,
    tier: str = "slm",
    tier_index: int = 0,
    input: Any = None,
    backfill: bool = False,
    **columns: Any,
) -> UUID:
    """A queued job; its id. `columns` set others of the row, by SQL literal or value."""
    job_id: UUID = columns.get("id") or new_id()
    values: Mapping[str, Any] = {
        "id": job_id,
        "account_id": account_id,
        "feature_version_id": version_id,
        "status": "queued",
        "tier": tier,
        "tier_index": tier_index,
        "queue": lane(tier_index, backfill=backfill),
        "batch_id": new_id() if backfill else None,
        "batch_row": 1 if backfill else None,
    } | columns
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    connection.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", list(values.values()))
    connection.execute(
        "INSERT INTO job_requests (job_id, input) VALUES (%s, %s)",
        (job_id, json.dumps({"text": "hello"} if input is None else input)),
    )
    return job_id


OLDER = """
UPDATE {table} SET {column} = (
    lpad(to_hex(('x' || left(replace({column}::text, '-', ''), 12))::bit(48)::bigint
        - (%(seconds)s * 1000)::bigint), 12, '0')
    || substr(replace({column}::text, '-', ''), 13))::uuid
WHERE %(versions)s::bigint[] IS NULL OR {column} IN (
    SELECT id FROM jobs WHERE feature_version_id = ANY(%(versions)s)
        AND completed_at > clock_timestamp() - interval '30 minutes')
"""


def make_older(
    connection: Connection, seconds: float, versions: Sequence[int] | None = None
) -> None:
    """Move jobs into the past, with their ids; with `versions` only those of them that ended in the
    last half hour.
    """
    given = {"seconds": seconds, "versions": None if versions is None else list(versions)}
    for table, column in (
        ("job_requests", "job_id"),
        ("answers", "job_id"),
        ("outcomes", "job_id"),
        ("jobs", "id"),
    ):
        connection.execute(OLDER.format(table=table, column=column), given)
    connection.execute(
        "UPDATE jobs SET completed_at = completed_at - make_interval(secs => %(seconds)s)"
        " WHERE %(versions)s::bigint[] IS NULL OR feature_version_id = ANY(%(versions)s)"
        " AND completed_at > clock_timestamp() - interval '30 minutes'",
        given,
    )


def status_of(connection: Connection, job_id: UUID) -> str:
    """A job's status now."""
    row = connection.execute("SELECT status FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return str(row[0])


def add_calibration(connection: Connection, feature: str, fingerprint: str | None = None) -> int:
    """A calibration of a feature that serves everything; its id."""
    document = {
        **{"learned": False, "why_not": "a test's own", "fitted": 0, "tested_at": 0.95},
        "combination": {"intercept": 0.0, "terms": {}},
        **{"tested": [], "by_label": {}},
    }
    row = connection.execute(
        "INSERT INTO calibrations (feature, tier, recipe, fingerprint, models, attempt, reference,"
        " reference_models, max_error, confidence, threshold, samples, served, errors, bound,"
        " first_seq, last_seq, document)"
        " VALUES (%s, 'slm', 'none', %s, 'openai:small', 1, 'model', '{}', 0.03, 0.95, 0.0, 100,"
        " 100, 0, 0.03, 0, 0, %s) RETURNING id",
        (feature, fingerprint or str(new_id()), json.dumps(document)),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_outcomes(connection: Connection, feature: str, recipe: str, count: int) -> None:
    """So many compared outcomes of one model, of which the tenth with the least confidence differs.

    A calibration fits its scores on every fourth of them, exactly.
    """
    connection.execute(
        "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,"
        " served, inclusion, drawn, fits_scores, noted_at, differs, reference_by, repeated)"
        " SELECT made.id, 1, %(feature)s, %(recipe)s, 'f', 'openai:small',"
        " json_build_object('agreement', CASE WHEN n %% 10 = 0 THEN 0.2 ELSE 0.9 END),"
        " false, 1, true, n %% 4 = 1, clock_timestamp(), n %% 10 = 0, 'openai:large', false"
        " FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY made (id, n)",
        {"feature": feature, "recipe": recipe, "ids": [new_id() for _ in range(count)]},
    )


def add_router(connection: Connection, feature: str, recipe: str = "none") -> int:
    """A router of a feature that expects nothing to fail; its id."""
    row = connection.execute(
        "INSERT INTO routers (feature, recipe, rows, right_rows, data_sha256, quality, document)"
        " VALUES (%s, %s, 100, 100, '', '{}', %s) RETURNING id",
        (feature, recipe, json.dumps({"intercept": 9.0, "terms": {}})),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_micro_model(connection: Connection, feature: str) -> int:
    """A micro model of a feature, with nothing in it; its id."""
    row = connection.execute(
        "INSERT INTO micro_models"
        " (feature, recipe, rows, right_rows, data_sha256, quality, document, vectors)"
        " VALUES (%s, 'none', 100, 90, '', '{}', '{}', '') RETURNING id",
        (feature,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_operation(
    connection: Connection, feature: str, kind: str, status: str = "cancelled"
) -> int:
    """An operation of a feature, of which nothing came out; its id."""
    row = connection.execute(
        "INSERT INTO operations (feature, kind, account_id, options, status)"
        " VALUES (%s, %s, 1, '{}', %s) RETURNING id",
        (feature, kind, status),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_dataset(connection: Connection, feature: str) -> int:
    """A dataset of a feature, without rows; its version."""
    row = connection.execute(
        "INSERT INTO datasets (feature, version, task, rows, sha256, document)"
        " SELECT %(feature)s, coalesce(max(version), 0) + 1, '', 0, '', %(document)s FROM datasets"
        " WHERE feature = %(feature)s RETURNING version",
        {
            "feature": feature,
            "document": json.dumps(
                {
                    **{"by_side": {}, "by_source": {}, "said_by": {}, "by_label": {}},
                    **{"representative_rows": 0, "near_duplicates": 0},
                }
            ),
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_evaluation(connection: Connection, feature: str) -> int:
    """A completed evaluation of a feature that compared nothing with anything; its id."""
    add_dataset(connection, feature)
    document = {
        "examples": 10,
        "tiers": [],
        "compared": [{"tier": "slm", "with": "frontier", "rows": []}],
        "fields": [],
        "slices": [],
    }
    row = connection.execute(
        "INSERT INTO evaluations"
        " (feature, dataset_id, account_id, status, plan, document, ended_at)"
        " SELECT feature, id, 1, 'completed', %s, %s, clock_timestamp() FROM datasets"
        " WHERE feature = %s ORDER BY id DESC LIMIT 1 RETURNING id",
        (
            json.dumps({"tiers": [], "limit": None, "numbers": [], "left_out": {}}),
            json.dumps(document),
            feature,
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_person(connection: Connection, account: str = "default") -> int:
    """A person of the account who signed in by OpenID Connect, and has a session; their number."""
    subject = f"subject-{new_id().hex}"
    row = connection.execute(
        "WITH person AS (INSERT INTO console_people (id, issuer, subject, name, account_id, scopes)"
        " SELECT nextval(pg_get_serial_sequence('api_keys', 'id')), 'https://login.invalid', %s,"
        " 'Lee', id, '{read}' FROM accounts WHERE name = %s RETURNING id),"
        " session AS (INSERT INTO console_sessions (digest, key_id, expires_at)"
        " SELECT sha256(%s::text::bytea), id, clock_timestamp() + interval '1 hour' FROM person)"
        " SELECT id FROM person",
        (subject, account, subject),
    ).fetchone()
    assert row is not None
    return int(row[0])


def end_job(rows: Connection, job_id: str, status: str = "completed") -> None:
    """Play a worker that ends the job."""
    rows.execute(
        "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at,"
        " verdict, model) VALUES (%s, 1, %s, 'slm', 'slm', 'w', clock_timestamp(), 'passed', 'm')",
        (job_id, uuid4()),
    )
    rows.execute(
        "INSERT INTO answers (job_id, attempt, text, output)"
        """ VALUES (%s, 1, 'x', '{"text": "x"}')""",
        (job_id,),
    )
    rows.execute(
        "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, answered_model,"
        " settled_at, input_tokens, output_tokens, cost_usd, latency_s)"
        " SELECT id, 1, 1, account_id, 'answer', 'openai:small', 'small-1', clock_timestamp(),"
        " 10, 5, 0.000125, 0.5 FROM jobs WHERE id = %s",
        (job_id,),
    )
    rows.execute(
        "UPDATE jobs SET status = %s, attempts = 1, completed_at = clock_timestamp(),"
        " answer_attempt = CASE WHEN %s = 'completed' THEN 1 END, model = 'small-1' WHERE id = %s",
        (status, status, job_id),
    )
