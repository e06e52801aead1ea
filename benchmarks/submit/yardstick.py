"""The yardstick: POST and GET endpoints as one would write them by hand, with FastAPI and async
psycopg.

Both authenticate, validate the body and its input, are idempotent, and insert the same three rows
as the product. `/plain` does it in the steps that come to mind: look the key up, then a
transaction with a statement a table. `/strong` does all of it in one statement, the key's look-up
included. Neither sends a wake-up, waits, lists what is wrong with a body in one problem format,
limits its size, or knows versions of features. `GET /strong/{id}` authenticates and reads the job,
its request, its answer and the sums of its calls in one statement, with an ETag.
"""

import hashlib
import json
import os
import sys
import uuid
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jsonschema_rs
import psycopg
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict, Field

from tierline.base.ids import new_id

URL = os.environ["DATABASE_URL"]
POOL = int(os.environ.get("TIERLINE_POOL_SIZE", "8"))

pool = AsyncConnectionPool(
    URL, kwargs={"autocommit": True}, min_size=POOL, max_size=POOL, open=False
)


class NewJob(BaseModel):
    model_config = ConfigDict(extra="forbid")

    feature: str
    input: Any
    metadata: dict[str, Any] | None = None
    webhook_url: str | None = Field(default=None, max_length=2048)
    user: str | None = Field(default=None, max_length=255)
    session: str | None = Field(default=None, max_length=255)
    deadline_s: float | None = Field(default=None, gt=0)


features: dict[str, tuple[int, str, jsonschema_rs.Draft202012Validator]] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> Any:
    await pool.open(wait=True)
    async with pool.connection() as connection:
        rows = await connection.execute(
            "SELECT f.name, v.id, v.document FROM features f"
            " JOIN feature_versions v ON v.id = f.version_id"
        )
        for name, version_id, document in await rows.fetchall():
            validator = jsonschema_rs.Draft202012Validator(document["input"])
            features[name] = (version_id, document["tiers"][0]["name"], validator)
    yield
    await pool.close()


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)


def read_key(request: Request) -> bytes:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise HTTPException(401)
    return hashlib.sha256(key.encode()).digest()


def check(body: NewJob) -> tuple[int, str]:
    feature = features.get(body.feature)
    if feature is None:
        raise HTTPException(422, "no such feature")
    version_id, tier, validator = feature
    error = next(validator.iter_errors(body.input), None)
    if error is not None:
        raise HTTPException(422, error.message)
    return version_id, tier


def accepted(job_id: uuid.UUID, body: NewJob, tier: str, created_at: Any) -> Response:
    answer = {
        "id": str(job_id),
        "feature": body.feature,
        "status": "queued",
        "tier": tier,
        "metadata": body.metadata,
        "user": body.user,
        "session": body.session,
        "created_at": created_at.isoformat(),
    }
    headers = {"Location": f"/v1/jobs/{job_id}", "Retry-After": "1"}
    return Response(json.dumps(answer), 202, headers, "application/json")


async def replay(connection: Any, account_id: int, key: str, payload_hash: bytes) -> Response:
    rows = await connection.execute(
        "SELECT i.payload_hash, j.id, j.status, j.tier, j.created_at FROM idempotency_keys i"
        " JOIN jobs j ON j.id = i.job_id WHERE i.account_id = %s AND i.key = %s",
        (account_id, key),
    )
    hashed, job_id, status, tier, created_at = await rows.fetchone()
    if hashed != payload_hash:
        raise HTTPException(422, "another payload")
    answer = {"id": str(job_id), "status": status, "tier": tier, "at": created_at.isoformat()}
    return Response(json.dumps(answer), 202, media_type="application/json")


@app.post("/plain", status_code=202)
async def plain(
    request: Request, body: NewJob, idempotency_key: Annotated[str | None, Header()] = None
) -> Response:
    digest = read_key(request)
    version_id, tier = check(body)
    job_id = new_id()
    payload_hash = hashlib.sha256(await request.body()).digest()
    async with pool.connection() as connection:
        rows = await connection.execute(
            "SELECT account_id, scopes FROM api_keys WHERE digest = %s AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > now())",
            (digest,),
        )
        api_key = await rows.fetchone()
        if api_key is None:
            raise HTTPException(401)
        account_id, scopes = api_key
        if "submit" not in scopes and "admin" not in scopes:
            raise HTTPException(403)
        async with connection.transaction():
            if idempotency_key is not None:
                inserted = await connection.execute(
                    "INSERT INTO idempotency_keys (account_id, key, job_id, payload_hash)"
                    " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (account_id, idempotency_key, job_id, payload_hash),
                )
                if inserted.rowcount == 0:
                    return await replay(connection, account_id, idempotency_key, payload_hash)
            rows = await connection.execute(
                "INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index,"
                " queue, deadline_at)"
                " VALUES (%s, %s, %s, 'queued', %s, 0, 'slm', now() + make_interval(secs => %s))"
                " RETURNING created_at",
                (job_id, account_id, version_id, tier, body.deadline_s),
            )
            row = await rows.fetchone()
            assert row is not None
            await connection.execute(
                "INSERT INTO job_requests"
                " (job_id, input, metadata, webhook_url, user_key, session_key)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (
                    job_id,
                    json.dumps(body.input),
                    None if body.metadata is None else json.dumps(body.metadata),
                    body.webhook_url,
                    body.user,
                    body.session,
                ),
            )
    return accepted(job_id, body, tier, row[0])


STRONG = """
WITH caller AS (
    SELECT account_id FROM api_keys
    WHERE digest = %(digest)s AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > now())
        AND (scopes && ARRAY['submit', 'admin'])
), held AS (
    INSERT INTO idempotency_keys (account_id, key, job_id, payload_hash)
    SELECT account_id, %(key)s, %(job_id)s, %(payload_hash)s FROM caller
    WHERE %(key)s::text IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING account_id
), job AS (
    INSERT INTO jobs
        (id, account_id, feature_version_id, status, tier, tier_index, queue, deadline_at)
    SELECT %(job_id)s, account_id, %(version_id)s, 'queued', %(tier)s, 0, 'slm',
        now() + make_interval(secs => %(deadline_s)s::float8)
    FROM caller WHERE %(key)s::text IS NULL OR EXISTS (SELECT FROM held)
    RETURNING id, created_at
), request AS (
    INSERT INTO job_requests (job_id, input, metadata, webhook_url, user_key, session_key)
    SELECT id, %(input)s::json, %(metadata)s::json, %(webhook_url)s, %(user)s, %(session)s
    FROM job
)
SELECT (SELECT account_id FROM caller), (SELECT created_at FROM job)
"""


@app.post("/strong", status_code=202)
async def strong(
    request: Request, body: NewJob, idempotency_key: Annotated[str | None, Header()] = None
) -> Response:
    digest = read_key(request)
    version_id, tier = check(body)
    job_id = new_id()
    payload_hash = hashlib.sha256(await request.body()).digest()
    async with pool.connection() as connection:
        rows = await connection.execute(
            STRONG,
            {
                "digest": digest,
                "key": idempotency_key,
                "job_id": job_id,
                "payload_hash": payload_hash,
                "version_id": version_id,
                "tier": tier,
                "deadline_s": body.deadline_s,
                "input": json.dumps(body.input),
                "metadata": None if body.metadata is None else json.dumps(body.metadata),
                "webhook_url": body.webhook_url,
                "user": body.user,
                "session": body.session,
            },
        )
        row = await rows.fetchone()
        assert row is not None
        account_id, created_at = row
        if account_id is None:
            raise HTTPException(401)
        if created_at is None:
            assert idempotency_key is not None
            return await replay(connection, account_id, idempotency_key, payload_hash)
    return accepted(job_id, body, tier, created_at)


READ = """
SELECT j.id, v.name, v.version, j.status, j.tier, j.model, a.output, j.error_code, j.error_message,
    r.metadata, r.user_key, r.session_key, j.created_at, j.started_at, j.completed_at,
    s.cost_usd, s.input_tokens, s.output_tokens
FROM api_keys k
JOIN jobs j ON j.account_id = k.account_id
JOIN job_requests r ON r.job_id = j.id
JOIN feature_versions v ON v.id = j.feature_version_id
LEFT JOIN answers a ON a.job_id = j.id AND a.attempt = j.answer_attempt
CROSS JOIN LATERAL (
    SELECT sum(c.cost_usd) AS cost_usd, sum(c.input_tokens) AS input_tokens,
        sum(c.output_tokens) AS output_tokens
    FROM calls c WHERE c.job_id = j.id
) s
WHERE k.digest = %s AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    AND k.scopes && ARRAY['read', 'admin'] AND j.id = %s
"""
READ_NAMES = (
    *("id", "feature", "feature_version", "status", "tier", "model", "output", "error_code"),
    *("error_message", "metadata", "user", "session", "created_at", "started_at"),
    *("completed_at", "cost_usd", "input_tokens", "output_tokens"),
)


@app.get("/strong/{job_id}")
async def read(
    request: Request, job_id: uuid.UUID, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    async with pool.connection() as connection:
        rows = await connection.execute(READ, (read_key(request), job_id))
        row = await rows.fetchone()
    if row is None:
        raise HTTPException(404)
    content = json.dumps(dict(zip(READ_NAMES, row, strict=True)), default=str).encode()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Retry-After": "1"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, "application/json")


if __name__ == "__main__":
    assert psycopg.pq.__impl__ == "binary"
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
    )
