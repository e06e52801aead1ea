"""The yardsticks: Celery tasks that do by hand what a job's road does.

Both claim with a token, write the attempt's row, call the model over a reused connection, and
finish on condition of the token. `plain` is how one would write it first: a statement each.
`strong` is the best that its author could write: claim and attempt in one statement, finish in one,
no acknowledgements, and a connection to the model for each thread, since httpx's pool gets slow
with many.
"""

import json
import os
import threading
from uuid import uuid4

import httpx
from celery import Celery
from celery.signals import worker_init
from kombu import Queue
from psycopg_pool import ConnectionPool

from tierline.base.network.broker_urls import kombu_url

app = Celery("yardstick", broker=kombu_url(os.environ["REDIS_URL"]))
app.conf.update(
    task_ignore_result=True,
    task_queues=[
        Queue("yard-plain", routing_key="yard-plain"),
        Queue("yard-strong", routing_key="yard-strong", no_ack=True),
    ],
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
)
URL = os.environ.get("OPENAI_BASE_URL", "")

pool: ConnectionPool
client: httpx.Client
here = threading.local()


@worker_init.connect
def _open(**_: object) -> None:
    global pool, client
    pool = ConnectionPool(
        os.environ["DATABASE_URL"], kwargs={"autocommit": True}, min_size=1, max_size=8, open=True
    )
    client = httpx.Client(
        limits=httpx.Limits(max_connections=128, max_keepalive_connections=128), timeout=20
    )


def own_client() -> httpx.Client:
    """This thread's client, with one connection."""
    client: httpx.Client | None = getattr(here, "client", None)
    if client is None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        client = here.client = httpx.Client(limits=limits, timeout=20)
    return client


def ask(by: httpx.Client, value: dict[str, str]) -> tuple[dict[str, str], int]:
    """The same request as the product sends, and the same check that it is JSON."""
    reply = by.post(
        f"{URL}/chat/completions",
        json={
            "model": "small",
            "messages": [{"role": "user", "content": value["text"]}],
            "max_tokens": 50,
            "temperature": 0.0,
        },
    )
    data = reply.json()
    return json.loads(data["choices"][0]["message"]["content"]), data["usage"]["prompt_tokens"]


@app.task(name="yard.plain")
def plain(job_id: str) -> None:
    token = uuid4()
    with pool.connection() as connection:
        row = connection.execute(
            "UPDATE yard_jobs SET status = 'in_progress', claim_token = %s"
            " WHERE id = %s AND status = 'queued' RETURNING input",
            (token, job_id),
        ).fetchone()
        if row is None:
            return
        connection.execute(
            "INSERT INTO yard_attempts (job_id, token, started_at)"
            " VALUES (%s, %s, clock_timestamp())",
            (job_id, token),
        )
    output, tokens = ask(client, row[0])
    with pool.connection() as connection, connection.transaction():
        connection.execute(
            "UPDATE yard_attempts SET ended_at = clock_timestamp(), tokens = %s, verdict = 'passed'"
            " WHERE job_id = %s AND token = %s",
            (tokens, job_id, token),
        )
        connection.execute(
            "UPDATE yard_jobs SET status = 'completed', output = %s,"
            " completed_at = clock_timestamp() WHERE id = %s AND claim_token = %s",
            (json.dumps(output), job_id, token),
        )


@app.task(name="yard.strong")
def strong(job_id: str) -> None:
    token = uuid4()
    with pool.connection() as connection:
        row = connection.execute(
            """
            WITH claimed AS (
                UPDATE yard_jobs SET status = 'in_progress', claim_token = %(token)s
                WHERE id = %(job_id)s AND status = 'queued' RETURNING id, input
            ), attempt AS (
                INSERT INTO yard_attempts (job_id, token, started_at)
                SELECT id, %(token)s, clock_timestamp() FROM claimed
            )
            SELECT input FROM claimed
            """,
            {"token": token, "job_id": job_id},
        ).fetchone()
    if row is None:
        return
    output, tokens = ask(own_client(), row[0])
    with pool.connection() as connection:
        connection.execute(
            """
            WITH done AS (
                UPDATE yard_jobs SET status = 'completed', output = %(output)s,
                    completed_at = clock_timestamp()
                WHERE id = %(job_id)s AND claim_token = %(token)s RETURNING id
            )
            UPDATE yard_attempts SET ended_at = clock_timestamp(), tokens = %(tokens)s,
                verdict = 'passed'
            FROM done WHERE job_id = done.id AND token = %(token)s
            """,
            {"output": json.dumps(output), "job_id": job_id, "token": token, "tokens": tokens},
        )
