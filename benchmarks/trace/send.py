"""Sending the trace as its callers did: each request at its time, whatever became of the others."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from benchmarks.trace.asks import Ask

WAITS_EVERY = 10  # one caller in so many waits for the answer in the request
WAIT_S = 5
HOOK_EVERY = 10  # … and one, another, is told by webhook
FEATURE = "echo"
CONNECTIONS = 50


@dataclass
class Sent:
    """What came of it."""

    accepted: int = 0
    hooks: int = 0  # jobs that asked for a webhook
    refused: list[int] = field(default_factory=list)  # the statuses of other answers
    latest_s: float = 0.0  # the most that a request went out after its time


async def send(url: str, key: str, hook: str, asks: Sequence[Ask], speed: float) -> Sent:
    """Send all of them, `speed` times as fast as they came."""
    sent = Sent()
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=60, trust_env=False, verify=False
    ) as client:
        began_s = time.monotonic()
        under_way: set[asyncio.Task[None]] = set()
        for ask in asks:
            due_s = began_s + ask.at_s / speed
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            sent.latest_s = max(sent.latest_s, time.monotonic() - due_s)
            task = asyncio.create_task(_one(client, ask, hook, sent))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        while under_way:
            await asyncio.gather(*under_way)
    return sent


async def _one(client: httpx.AsyncClient, ask: Ask, hook: str, sent: Sent) -> None:
    body: dict[str, object] = {"feature": FEATURE, "input": {"text": ask.text}}
    headers = {"Idempotency-Key": f"trace-{ask.number}"}
    if ask.number % WAITS_EVERY == 0:
        headers["Prefer"] = f"wait={WAIT_S}"
    if ask.number % HOOK_EVERY == 1:
        body["webhook_url"] = hook
    answer = await client.post("/v1/jobs", json=body, headers=headers)
    if not answer.is_success:
        sent.refused.append(answer.status_code)
        return
    sent.accepted += 1
    sent.hooks += "webhook_url" in body
