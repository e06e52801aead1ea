"""Server-sent events: an open stream, its response, and the limits on how many are open.

A stream ends when its job has ended, its time is over, its key is revoked, its reader is too slow,
or the process stops. A client then asks again with Last-Event-ID and misses nothing.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping

from fastapi import Response
from starlette.types import Receive, Scope, Send

from api.access.keys import Caller
from api.http.problems import Refused, limit_reached
from tierline.base.errors import Unavailable

EVENT_STREAM = "text/event-stream"
HEARTBEAT_S = 15.0  # of silence; proxies close connections that are silent for a minute
RETRY_MS = 1_000  # how long a browser waits before it connects again
MOST_PENDING = 1_000  # events that wait for a slow reader; then its stream ends
MOST_OPEN = 4_000  # streams of a process; one takes 12 KiB
FULL_S = 5.0  # Retry-After of a refusal
_HEARTBEAT = b": heartbeat\n\n"


def wants_events(accept: str | None) -> bool:
    """Whether the Accept header asks for server-sent events."""
    return accept is not None and EVENT_STREAM in accept.lower()


def chunk(event: str, data: bytes, id: str | None = None) -> bytes:
    """One event as bytes. `data` is JSON without line breaks."""
    head = b"" if id is None else b"id: %s\n" % id.encode()
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), data)


class Stream:
    """What is still to be sent to one reader. Used in the event loop only."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.changed = asyncio.Event()
        self.closed = False
        self._pending: deque[bytes] = deque()

    def put(self, event: bytes) -> None:
        """Send an event. A reader that is too far behind is closed: it resumes."""
        if self.closed:
            return
        if len(self._pending) >= MOST_PENDING:
            self.close()
            return
        self._pending.append(event)
        self.changed.set()

    def close(self) -> None:
        """End the stream when what waits is sent."""
        self.closed = True
        self.changed.set()

    def take(self) -> bytes:
        """What waits to be sent; empty if nothing does."""
        self.changed.clear()
        if not self._pending:
            return b""
        waiting = b"".join(self._pending)
        self._pending.clear()
        return waiting


class OpenStreams:
    """The open streams of a process, and how many each key has."""

    def __init__(self, most_of_key: int) -> None:
        self.most_of_key = most_of_key
        self._of_key: Counter[int] = Counter()
        self._open: set[Stream] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def stop(self) -> None:
        """End all streams, because the process stops."""
        self._stopping = True
        for stream in self._open:
            stream.close()

    def admit(self, caller: Caller) -> None:
        """Raises Refused (429) if the key has its maximum of streams, and Unavailable if the
        process has, or stops."""
        if self._stopping:
            raise Unavailable("the process is stopping: ask again")
        if self._of_key[caller.key_id] >= self.most_of_key:
            raise limit_reached(
                f"the key has {self.most_of_key:,} event streams open, its maximum for each API"
                " process (TIERLINE_MAX_STREAMS): close one, or poll",
                FULL_S,
            )
        if len(self._open) >= MOST_OPEN:
            raise Unavailable(f"{MOST_OPEN:,} event streams are open: ask again, or poll")

    @contextlib.contextmanager
    def counted(self, stream: Stream) -> Iterator[None]:
        """Count the stream as open during the block."""
        key_id = stream.caller.key_id
        self._open.add(stream)
        self._of_key[key_id] += 1
        if self._stopping:
            stream.close()
        try:
            yield
        finally:
            self._open.discard(stream)
            self._of_key[key_id] -= 1
            if not self._of_key[key_id]:
                del self._of_key[key_id]


class StreamResponse(Response):
    """Sends a stream until it ends. `watch` keeps it up to date; it is entered when the response
    begins. `still_valid` raises Refused once the key is revoked: nothing is sent after that.
    """

    def __init__(
        self,
        stream: Stream,
        watch: contextlib.AbstractAsyncContextManager[None],
        still_valid: Callable[[], Awaitable[object]],
        *,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> None:
        """`retry`: begin with how long a browser waits before it connects again."""
        super().__init__(None, 200, {**(headers or {}), "X-Accel-Buffering": "no"}, EVENT_STREAM)
        del self.headers["content-length"]
        self._stream = stream
        self._watch = watch
        self._still_valid = still_valid
        self._timeout_s = timeout_s
        self._retry = retry

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        async with self._watch:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            left = asyncio.create_task(self._until_left(receive))
            try:
                await self._send_events(send)
            finally:
                left.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _send_events(self, send: Send) -> None:
        stream = self._stream
        until_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        if self._retry:
            await self._send(send, b"retry: %d\n\n" % RETRY_MS)
        while True:
            waiting = stream.take()
            if waiting:
                if not await self._valid():
                    return
                await self._send(send, waiting)
            elif stream.closed:
                return
            else:
                left_s = HEARTBEAT_S if until_s is None else until_s - time.monotonic()
                if left_s <= 0:
                    return
                try:
                    async with asyncio.timeout(min(HEARTBEAT_S, left_s)):
                        await stream.changed.wait()
                except TimeoutError:
                    if not await self._valid():
                        return
                    await self._send(send, _HEARTBEAT)

    async def _valid(self) -> bool:
        try:
            await self._still_valid()
        except (Refused, Unavailable):
            return False
        return True

    @staticmethod
    async def _send(send: Send, body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _until_left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.close()
