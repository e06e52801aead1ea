"""A client that costs little: keep-alive connections on asyncio, requests as ready-made bytes."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import cast

MOST_IDS = 1_000


@dataclass(frozen=True)
class Round:
    """One round of load on one address."""

    answered: int
    seconds: float
    latencies_s: tuple[float, ...]
    job_ids: tuple[str, ...] = ()  # of the jobs that were submitted

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._seen = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, mark, body = self._seen.partition(b"\r\n\r\n")
        if not mark:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if not self._load.accepts(head):
            self._load.fail(f"{head[:60]!r} {body[:300]!r}")
            return
        self._load.latencies.append(time.perf_counter() - self._sent_at)
        self._seen = b""
        self._next()

    def _next(self) -> None:
        request = self._load.request()
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def connection_lost(self, _: Exception | None) -> None:
        self._load.left -= 1
        if self._load.left == 0 and not self._load.done.done():
            self._load.done.set_result(None)


@dataclass(frozen=True)
class Requests:
    """What is sent, as ready-made bytes, and the status that is expected."""

    next: Callable[[], bytes]
    status: int


def submissions(path: str, key: str, name: str) -> Requests:
    """POST requests, each with an Idempotency-Key of its own that begins with `name`."""
    body = json.dumps(
        {
            "feature": "echo",
            "input": {"text": "Invoice A-17 of Nordwind GmbH\nTotal due: 12.50 EUR\n" * 6},
            "metadata": {"source": "benchmark"},
        }
    ).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
    ).encode()
    tail = b"\r\n\r\n" + body
    numbers = count(1)
    return Requests(lambda: head + f"{name}-{next(numbers)}".encode() + tail, 202)


def reads(path: str, key: str, job_ids: Sequence[str]) -> Requests:
    """GET requests for these jobs in turn, below `path`."""
    authorization = f"Authorization: Bearer {key}"
    requests = [
        f"GET {path}/{job_id} HTTP/1.1\r\nHost: bench\r\n{authorization}\r\n\r\n".encode()
        for job_id in job_ids
    ]
    numbers = count()
    return Requests(lambda: requests[next(numbers) % len(requests)], 200)


@dataclass
class _Load:
    requests: Requests
    seconds: float
    left: int  # connections
    latencies: list[float] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._until = time.perf_counter() + self.seconds
        self._status = f"HTTP/1.1 {self.requests.status} ".encode()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def accepts(self, head: bytes) -> bool:
        """Whether the answer has the expected status. Keeps the id of the first submitted jobs."""
        if len(self.job_ids) < MOST_IDS and self.requests.status == 202:
            location = head.lower().partition(b"\r\nlocation: ")[2].partition(b"\r\n")[0]
            if location:  # a yardstick answers a repeated key without one
                self.job_ids.append(location.rpartition(b"/")[2].decode())
        return head.startswith(self._status)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(why))

    def request(self) -> bytes | None:
        if time.perf_counter() > self._until:
            return None
        return self.requests.next()


async def load(port: int, requests: Requests, *, seconds: float, connections: int) -> Round:
    """Keep `connections` requests under way for `seconds`."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    running = _Load(requests, seconds, connections)
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(running), "127.0.0.1", port)
    await running.done
    return Round(
        len(running.latencies),
        time.perf_counter() - started,
        tuple(sorted(running.latencies)),
        tuple(running.job_ids),
    )
