"""A client that costs little: keep-alive connections on asyncio, requests as ready-made bytes."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True)
class Round:
    """One round of load on one address."""

    answered: int
    seconds: float
    latencies_s: tuple[float, ...]

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
        if not head.startswith(b"HTTP/1.1 202"):
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


class _Load:
    def __init__(self, path: str, key: str, seconds: float, connections: int, name: str) -> None:
        body = json.dumps(
            {
                "feature": "echo",
                "input": {"text": "Invoice A-17 of Nordwind GmbH\nTotal due: 12.50 EUR\n" * 6},
                "metadata": {"source": "benchmark"},
            }
        ).encode()
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
        ).encode()
        self._tail = b"\r\n\r\n" + body
        self._name = name
        self._number = 0
        self._until = time.perf_counter() + seconds
        self.left = connections
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(why))

    def request(self) -> bytes | None:
        if time.perf_counter() > self._until:
            return None
        self._number += 1
        return self._head + f"{self._name}-{self._number}".encode() + self._tail


async def load(
    port: int, path: str, key: str, *, seconds: float, connections: int, name: str
) -> Round:
    """Keep `connections` requests under way for `seconds`, each with a key of its own."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    running = _Load(path, key, seconds, connections, name)
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(running), "127.0.0.1", port)
    await running.done
    return Round(
        len(running.latencies), time.perf_counter() - started, tuple(sorted(running.latencies))
    )
