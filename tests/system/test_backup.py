"""A dump taken in the middle of work, restored by the commands of the docs: nothing ends twice."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.database.rows import TWO_TIERS
from tests.support.docs import Block, blocks
from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.fake_servers.webhook_receiver import Receiver, receiving, status
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.up import RunningUp, only, run_up
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.embedded import postgres
from tierline.stack.embedded.servers import Servers, running_servers

Connection = psycopg.Connection[Any]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
THREADS = 8
HELD = 10  # jobs of each account that the model server keeps: on threads, hinted and in Postgres
DONE = 5


ANSWER = '{"text": "hello"}'


@pytest.fixture
def servers(tmp_path: Path, make_home: MakeHome) -> Iterator[Servers]:
    """The database server of an installation, apart from it."""
    with running_servers(make_home(tmp_path / "servers")) as started:
        yield started


def block(word: str) -> Block:
    """The page's command block that has `word` in it."""
    (found,) = (one for one in blocks(PAGE) if one.kind == "sh" and word in one.text)
    return found


def run(word: str, folder: Path, **environment: str) -> None:
    """Type a block of the page, with the database's own programs."""
    programs = Path(postgres.binary("pg_dump")).parent
    ended = subprocess.run(
        ["bash", "-ec", block(word).text.replace("./tierline", f"{ROOT}/tierline")],
        cwd=folder,
        env={**os.environ, **environment, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@contextmanager
def installation(
    home: Path, database_url: str, models: ModelServer
) -> Iterator[tuple[RunningUp, httpx.Client]]:
    env = {
        "DATABASE_URL": database_url,
        "OPENAI_BASE_URL": models.url,
        "OPENAI_API_KEY": "not-a-real-one",
        "TIERLINE_LEASE_S": "5",
        "TIERLINE_BEAT_S": "1",
        "TIERLINE_HINT_LOST_S": "2",
        "TIERLINE_GRACE_S": "0.5",
        "TIERLINE_WORKER_THREADS": str(THREADS),
        "TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    roles = only(home.parent, "api", "dispatcher", "slm", "webhooks")
    with run_up(home, *roles, env=env) as up:
        key = {"Authorization": f"Bearer {up.line['api_key']}"}
        with httpx.Client(base_url=str(up.line["api"]), headers=key, timeout=DEADLINE_S) as api:
            yield up, api


def apply(api: httpx.Client) -> None:
    """A feature that waits for its model for as long as the test takes."""
    text = TWO_TIERS.format(name="echo").replace("timeout_s: 5", "timeout_s: 600")
    answer = api.post("/v1/features", content=text, headers={"Content-Type": "application/yaml"})
    assert answer.status_code < 300, answer.text


def submit(api: httpx.Client, text: str, receiver: Receiver, **headers: str) -> str:
    body = {"feature": "echo", "input": {"text": text}, "webhook_url": receiver.url}
    answer = api.post("/v1/jobs", json=body, headers={"Idempotency-Key": text} | headers)
    assert answer.status_code in {200, 202}, answer.text
    return str(answer.json()["id"])


def other_account(api: httpx.Client) -> dict[str, str]:
    """The header of a key of another account: no account alone may take every thread."""
    api.post("/v1/accounts", json={"name": "other"})
    made = api.post("/v1/keys", json={"account": "other", "scopes": ["submit", "read"]})
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['key']}"}


def places(connection: Connection) -> Counter[str]:
    """How many jobs are where, those with a hint in the broker apart."""
    where = "CASE WHEN status = 'queued' AND hint_no IS NOT NULL THEN 'hinted' ELSE status END"
    return Counter(dict(connection.execute(f"SELECT {where}, count(*) FROM jobs GROUP BY 1")))


def told(receiver: Receiver) -> list[str]:
    """The jobs that the receiver was told of, try by try."""
    return [str(json.loads(one.body)["data"]["id"]) for one in list(receiver.requests)]


@pytest.mark.timeout(600)
def test_jobs_in_the_middle_of_work_are_taken_up_after_a_restore_and_nothing_ends_twice(
    tmp_path: Path, servers: Servers
) -> None:
    live, restored = (postgres.url(servers.home, name) for name in ("live", "restored"))
    with psycopg.connect(postgres.url(servers.home, "postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE live TEMPLATE {postgres.DATABASE} STRATEGY file_copy")
        admin.execute("CREATE DATABASE restored")
    with ModelServer(lambda _: ANSWER) as models, receiving() as receiver:
        with installation(tmp_path / "one", live, models) as (up, api):
            apply(api)
            done = [submit(api, f"done-{number}", receiver) for number in range(DONE)]
            wait_until(lambda: len(told(receiver)) == DONE, DEADLINE_S, "the first jobs to be told")
            receiver.manner = status(503)
            untold = submit(api, "untold", receiver)
            wait_until(lambda: len(told(receiver)) > DONE, DEADLINE_S, "a webhook that is refused")
            models.answer = lambda _: Reply(ANSWER, delay_s=300)
            held = [submit(api, f"held-{number}", receiver) for number in range(HELD)]
            other = other_account(api)
            held += [submit(api, f"held-{number}", receiver, **other) for number in range(HELD)]
            with psycopg.connect(live, autocommit=True) as connection:
                wait_until(
                    lambda: (
                        (found := places(connection))["in_progress"] == THREADS
                        and found["hinted"] > 0
                        and found["queued"] > 0
                    ),
                    DEADLINE_S,
                    "jobs on every thread, in the broker and behind it",
                )
            run("pg_dump", tmp_path, DATABASE_URL=live)
            before = {job: api.get(f"/v1/jobs/{job}").json() for job in [*done, untold]}
            up.stop()
        models.answer = lambda _: ANSWER
        receiver.manner = status(204)
        receiver.requests.clear()
        run("pg_restore", tmp_path, DATABASE_URL=live, NEW_DATABASE_URL=restored)
        with psycopg.connect(restored) as connection:  # its next try may be minutes away
            connection.execute("UPDATE deliveries SET next_try_at = clock_timestamp()")
        with installation(tmp_path / "two", restored, models) as (_, api):
            jobs = DONE + 1 + 2 * HELD
            with psycopg.connect(restored, autocommit=True) as connection:
                wait_until(
                    lambda: places(connection) == {"completed": jobs}, 120, "every job to end"
                )
            assert {job: api.get(f"/v1/jobs/{job}").json() for job in before} == before
            wait_until(
                lambda: len(told(receiver)) == 2 * HELD + 1, DEADLINE_S, "every webhook to be told"
            )
            assert submit(api, "held-3", receiver) == held[3]
            new = submit(api, "new", receiver)
            wait_until(lambda: new in told(receiver), DEADLINE_S, "a new job to be told")
            assert sorted(told(receiver)) == sorted([untold, *held, new])
    with psycopg.connect(restored) as connection:
        verdicts = connection.execute(
            "SELECT verdict, count(*), count(DISTINCT job_id) FROM attempts"
            " GROUP BY verdict ORDER BY verdict"
        ).fetchall()
        ends = connection.execute(
            "SELECT count(*), count(DISTINCT job_id) FROM deliveries WHERE event = 'job.completed'"
        ).fetchone()
    jobs += 1  # the new one
    assert verdicts == [("passed", jobs, jobs), ("worker_lost", THREADS, THREADS)]
    assert ends == (jobs, jobs)
