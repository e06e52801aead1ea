"""Sending the trace as its callers did: each request at its time, whatever became of the others.

The requests are bytes on plain asyncio connections: a client library would take as much of the
machine as the product.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.trace.asks import Ask

WAITS_EVERY = 10  # one caller in so many waits for the answer in the request
WAIT_S = 5
HOOK_EVERY = 10  # … and another one is announced by a webhook
FEATURE = "echo"
TRIES = 3  # the server may close a connection that was idle just as it is used again

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Sent:
    """What came of it."""

    accepted: int = 0
    hooks: int = 0  # jobs with a webhook
    refused: list[int] = field(default_factory=list)  # the statuses of other answers
    latest_s: float = 0.0  # the most that a request went out after its time


class _Callers:
    """Keep-alive connections to the API, as many as there are requests under way."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname, parts.port)
        self._head = f"POST /v1/jobs HTTP/1.1\r\nHost: trace\r\nAuthorization: Bearer {key}\r\n"
        self._idle: list[Connection] = []

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        """The answer's status. Raises ConnectionError after TRIES."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        request = f"{self._head}{more}{length}".encode() + body
        for number in range(TRIES):
            again = number > 0 or not self._idle
            connection = await self._open() if again else self._idle.pop()
            try:
                status = await _answered(connection, request)
            except (ConnectionError, asyncio.IncompleteReadError):
                connection[1].close()
                continue
            self._idle.append(connection)
            return status
        raise ConnectionError("the API closed every connection")

    async def _open(self) -> Connection:
        return await asyncio.open_connection(*self._place)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _answered(connection: Connection, request: bytes) -> int:
    reader, writer = connection
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split(b" ", 2)[1])


async def send(url: str, key: str, hook: str, asks: Sequence[Ask], speed: float) -> Sent:
    """Send all of them, `speed` times as fast as they came."""
    sent = Sent()
    callers = _Callers(url, key)
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as under_way:
        for ask in asks:
            due_s = began_s + ask.at_s / speed
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            sent.latest_s = max(sent.latest_s, time.monotonic() - due_s)
            under_way.create_task(_one(callers, ask, hook, sent))
    callers.close()
    return sent


async def _one(callers: _Callers, ask: Ask, hook: str, sent: Sent) -> None:
    body: dict[str, object] = {"feature": FEATURE, "input": {"text": ask.text}}
    headers = {"Idempotency-Key": f"trace-{ask.number}"}
    if ask.number % WAITS_EVERY == 0:
        headers["Prefer"] = f"wait={WAIT_S}"
    if ask.number % HOOK_EVERY == 1:
        body["webhook_url"] = hook
    status = await callers.post(json.dumps(body).encode(), headers)
    if status not in (200, 202):
        sent.refused.append(status)
        return
    sent.accepted += 1
    sent.hooks += "webhook_url" in body
