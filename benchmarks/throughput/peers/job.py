"""What every peer's job is made of: its statements, its request and its check.

The job: claim with a token, and book the call in the same statement, so that it is known before it
is sent; ask the model; check the answer against a JSON Schema; finish, and settle the call, in one
statement that writes the job's row only while the token still holds it. Two round trips to Postgres
a job, which is the fewest that these guarantees allow. There is no lease, no recovery, no
fairness, no budget and no webhook.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jsonschema_rs

CLAIM = """
WITH claimed AS (
    UPDATE peer_jobs SET status = 'in_progress', claim_token = {token}
    WHERE id = {job_id} AND status = 'queued' RETURNING id, input
), booked AS (
    INSERT INTO peer_calls (job_id, token, model, booked_at)
    SELECT id, {token}, 'small', clock_timestamp() FROM claimed
)
SELECT input FROM claimed
"""
# A call that was made has a cost, even if somebody else holds the job by now.
FINISH = """
WITH done AS (
    UPDATE peer_jobs SET status = {status}, output = {output}, completed_at = clock_timestamp()
    WHERE id = {job_id} AND claim_token = {token} AND status = 'in_progress'
)
UPDATE peer_calls SET settled_at = clock_timestamp(), verdict = {verdict},
    input_tokens = {input_tokens}, output_tokens = {output_tokens}
WHERE job_id = {job_id} AND token = {token}
"""
SCHEMA = {  # of the product's feature in the same run
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
}
URL = f"{os.environ.get('OPENAI_BASE_URL', '')}/chat/completions"
HEADERS = {"Authorization": "Bearer not-a-key", "Content-Type": "application/json"}
TIMEOUT_S = 20.0
CONNECTIONS = 8  # of a process to Postgres, as the Celery tasks have

_valid = jsonschema_rs.validator_for(SCHEMA).is_valid


class Answer(NamedTuple):
    """A checked answer of the model."""

    status: str
    verdict: str
    output: str  # JSON
    input_tokens: int
    output_tokens: int


def request(value: Mapping[str, str]) -> bytes:
    """The body of the same request that the product sends."""
    return json.dumps(
        {
            "model": "small",
            "messages": [{"role": "user", "content": value["text"]}],
            "max_tokens": 50,
            "temperature": 0.0,
        }
    ).encode()


def read(body: bytes) -> Answer:
    """The answer in a response's body, checked against the schema."""
    data: dict[str, Any] = json.loads(body)
    text, usage = data["choices"][0]["message"]["content"], data["usage"]
    passed = _valid(json.loads(text))
    status, verdict = ("completed", "passed") if passed else ("failed", "schema")
    return Answer(status, verdict, text, usage["prompt_tokens"], usage["completion_tokens"])
