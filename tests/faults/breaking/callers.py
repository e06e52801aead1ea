"""One account that means harm: hostile texts, bodies of unknown keys, reports one after the other.

It has nothing but a key of its own. The other accounts are timed beside it.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx

from tests.faults.breaking import fault
from tests.faults.features import LETTER
from tests.faults.load import AWAY
from tests.faults.scene import PATIENCE_S, Scene
from tests.support.waiting import wait_until

ACCOUNT = "stranger"
AT_ONCE = 4  # requests of its
TEXT_BYTES = 940_000
UNKNOWN_KEYS = 50_000
MOST_ANSWER_BYTES = 64 * 1024
CALLS = 400_000  # that its reports read; a statement over them takes seconds
REFUSED = AWAY | {504}  # what a report too many, or one that takes too long, is told

# Calls are summed by their account. All of these belong to one job, which has ended.
BOOK_ATTEMPTS = """
INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, started_at, ended_at,
    verdict)
SELECT job_id, made.number, gen_random_uuid(), tier, queue, 'long-gone', started_at, ended_at,
    verdict
FROM attempts, generate_series(1000, 1000 + %(calls)s / 10000 - 1) made (number)
WHERE job_id = %(job_id)s AND attempts.number = 1
"""
BOOK_CALLS = """
INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, booked_at, settled_at,
    latency_s, input_tokens, output_tokens, cost_usd)
SELECT job_id, made.attempt, made_calls.number, account_id, purpose, model, booked_at, settled_at,
    latency_s, input_tokens, output_tokens, cost_usd
FROM calls, generate_series(1000, 1000 + %(calls)s / 10000 - 1) made (attempt),
    generate_series(1, 10000) made_calls (number)
WHERE job_id = %(job_id)s AND calls.attempt = 1 AND calls.number = 1
"""
FORGET_CALLS = "DELETE FROM calls WHERE job_id = %s AND attempt >= 1000"
FORGET_ATTEMPTS = "DELETE FROM attempts WHERE job_id = %s AND number >= 1000"


@fault("texts of a million combining marks", others_unharmed=True)
def hostile_text(scene: Scene) -> None:
    """Texts that take minutes to normalise, were their marks put in order all at once."""
    with _stranger(scene) as key:
        job_ids: list[str] = []
        marks = "\u0301\u0327" * (TEXT_BYTES // 4)

        def submit(client: httpx.Client) -> None:
            text = f"Letter [hostile-{uuid4().hex[:8]} plain] a{marks}"
            made = client.post("/v1/jobs", json={"feature": LETTER, "input": {"text": text}})
            if made.status_code in AWAY:
                return
            made.raise_for_status()
            job_id = made.json()["id"]
            job_ids.append(job_id)
            wait_until(lambda: _ended(client, job_id), PATIENCE_S, "its job to end", 0.1)

        _again_and_again(scene, key, submit, at_once=2)
        with scene.client(key) as client:
            ends = Counter(_ended(client, job_id) for job_id in job_ids)
        assert set(ends) == {"completed"}, f"jobs with hostile texts ended as {ends}"


@fault("1 MB of unknown keys", others_unharmed=True)
def unknown_keys(scene: Scene) -> None:
    """Bodies in which nothing is known, each key another near miss."""
    body = {"feature": LETTER, "input": {"text": "a letter"}}
    body |= {f"metadat{number:06}": 1 for number in range(UNKNOWN_KEYS)}
    content = json.dumps(body).encode()
    with _stranger(scene) as key:

        def submit(client: httpx.Client) -> None:
            answer = client.post(
                "/v1/jobs", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in {422} | AWAY, answer.text[:200]
            assert len(answer.content) <= MOST_ANSWER_BYTES, f"an answer of {len(answer.content)}"

        _again_and_again(scene, key, submit)


@fault("four slow reports", short=False, others_unharmed=True)
def slow_reports(scene: Scene) -> None:
    """Sums over hundreds of thousands of calls, four at a time, most of whose callers hang up."""
    with _stranger(scene) as key, scene.client(key) as client, scene.database() as connection:
        old = {"feature": LETTER, "input": {"text": "[old plain]"}}
        made = _answered(client, "POST", "/v1/jobs", json=old)
        job_id = made.raise_for_status().json()["id"]
        wait_until(lambda: _ended(client, job_id), PATIENCE_S, "the stranger's first job to end")
        ((account_id,),) = scene.rows("SELECT account_id FROM jobs WHERE id = %s", job_id)
        booked = {"job_id": job_id, "account_id": account_id, "calls": CALLS}
        connection.execute(BOOK_ATTEMPTS, booked)
        connection.execute(BOOK_CALLS, booked)
        answers: Counter[int] = Counter()
        try:

            def report(client: httpx.Client) -> None:
                try:
                    asked = client.get("/v1/usage", params={"group_by": "day,tier"}, timeout=0.5)
                except httpx.ReadTimeout:
                    answers[0] += 1  # hung up
                else:
                    answers[asked.status_code] += 1
                    assert asked.is_success or asked.status_code in REFUSED, asked.text[:200]

            _again_and_again(scene, key, report)
        finally:
            connection.execute(FORGET_CALLS, (job_id,))
            connection.execute(FORGET_ATTEMPTS, (job_id,))
        assert answers[0], f"no report was slow enough to hang up on: {dict(answers)}"


@contextmanager
def _stranger(scene: Scene) -> Iterator[str]:
    """A key of the account that means harm, for as long as the block lasts."""
    with scene.client(str(scene.up.line["api_key"])) as operator:
        made = _answered(operator, "POST", "/v1/accounts", json={"name": ACCOUNT})
        assert made.is_success or made.status_code == httpx.codes.CONFLICT, made.text
        asked = {"account": ACCOUNT, "scopes": ["submit", "read"]}
        key = _answered(operator, "POST", "/v1/keys", json=asked).raise_for_status().json()
        yield str(key["key"])
        _answered(operator, "DELETE", f"/v1/keys/{key['id']}").raise_for_status()


def _answered(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    """The answer, once it is none of those while something that broke before is not over yet."""

    def ask() -> httpx.Response | None:
        answer = client.request(method, path, **more)
        return None if answer.status_code in AWAY else answer

    return wait_until(ask, PATIENCE_S, f"{method} {path} to be answered", 0.1)


def _again_and_again(
    scene: Scene, key: str, ask: Callable[[httpx.Client], None], at_once: int = AT_ONCE
) -> None:
    """Ask over and over, `at_once` at a time, for as long as a siege lasts."""
    until_s = time.monotonic() + scene.times.siege_s
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with scene.client(key) as client:
                while time.monotonic() < until_s and not failed:
                    ask(client)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise AssertionError(f"the stranger was told: {failed[0]}") from failed[0]


def _ended(client: httpx.Client, job_id: str) -> str:
    """How the job ended; empty while it has not."""
    job = _answered(client, "GET", f"/v1/jobs/{job_id}").raise_for_status().json()
    return str(job["status"]) if job["status"] not in {"queued", "in_progress"} else ""
