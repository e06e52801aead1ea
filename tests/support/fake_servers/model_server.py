"""A model server at the far end of the network: real HTTP on loopback, Chat Completions, scripted.

For tests (`ModelServer`, a thread), and for benchmarks and the fault runs
(`python -m tests.support.fake_servers.model_server`, a process of its own). It keeps a ledger of
every call it got, in a file if one is named, so that books can be balanced against it.
"""

import argparse
import asyncio
import importlib
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.fake_servers.model_ledger import Ledger, read_ledger
from tests.support.waiting import DEADLINE_S

Json = dict[str, Any]
HELD_S = 60.0  # at most, for a reply that waits for its release


@dataclass(frozen=True)
class Reply:
    """How one call is answered. The defaults are a good answer at once."""

    text: str = "{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    model: str | None = None  # the exact id that it tells
    usage: Mapping[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 10}
    )
    logprobs: list[Json] | None = None  # the `content` list of the choice's logprobs
    delay_s: float = 0.0  # before the first byte
    release: threading.Event | None = None  # nothing is sent before it is set
    drip_s: float | None = None  # between two bytes of the body
    cut: bool = False  # close the connection in the middle of the body
    raw: bytes | None = None  # this body instead of a completion
    note: str = ""  # for the ledger: what the script knows the call by


@dataclass(frozen=True)
class Call:
    """One line of the ledger."""

    id: int
    path: str
    key: str | None
    body: Json
    connection: int
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case name

    @property
    def model(self) -> str:
        return str(self.body.get("model"))

    @property
    def last_message(self) -> str:
        return str(self.body["messages"][-1]["content"])


Answer = Callable[[Json], Reply | str]


class ModelServer:
    """A server in a thread of its own. `answer` says how each request is answered.

    With a ledger's path every call is written there too; ids go on from those in the file.
    """

    def __init__(
        self, answer: Answer | None = None, port: int = 0, ledger: Path | None = None
    ) -> None:
        self.answer: Answer = answer or (lambda _: Reply())
        self.calls: list[Call] = []
        self.answered: list[int] = []  # ids of calls whose answer was sent whole
        self.connections = 0
        self._port = port
        calls = {} if ledger is None else read_ledger(ledger)
        self._ids = itertools.count(max(calls, default=0) + 1)
        self._ledger = None if ledger is None else Ledger(ledger)
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)

    @property
    def url(self) -> str:
        """The base URL, up to /v1."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> "ModelServer":
        self._thread.start()
        if not self._up.wait(DEADLINE_S):
            raise RuntimeError("the model server did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        if self._ledger is not None:
            self._ledger.close()

    def __enter__(self) -> "ModelServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=512)
        )
        self._port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while await self._one(reader, writer, connection):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
        method, path, _ = request_line.split()
        key = headers.get("authorization")
        call = Call(next(self._ids), path, key, body, connection, method, headers)
        self.calls.append(call)
        answer = self.answer(body)
        reply = Reply(text=answer) if isinstance(answer, str) else answer
        if self._ledger is not None:
            self._ledger.called(call.id, call.model, reply.note)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.release is not None:
            await asyncio.to_thread(reply.release.wait, HELD_S)
        content = completion(call, reply) if reply.raw is None else reply.raw
        writer.write(_head(reply, len(content), call))
        if reply.cut:
            writer.write(content[: len(content) // 2])
            await writer.drain()
            return False
        if reply.drip_s is None:
            writer.write(content)
        else:
            for index in range(len(content)):
                writer.write(content[index : index + 1])
                await writer.drain()
                await asyncio.sleep(reply.drip_s)
        await writer.drain()
        self.answered.append(call.id)
        if self._ledger is not None:
            usage = reply.usage if reply.status == 200 else None
            self._ledger.answered(call.id, reply.status, usage)
        return True


def completion(call: Call, reply: Reply) -> bytes:
    """The body of a chat completion, or of an error for another status."""
    if reply.status != 200:
        return json.dumps({"error": {"message": reply.text, "type": "scripted"}}).encode()
    choice: Json = {
        "index": 0,
        "finish_reason": reply.finish_reason,
        "message": {"role": "assistant", "content": reply.text, "refusal": reply.refusal},
    }
    if reply.logprobs is not None:
        choice["logprobs"] = {"content": reply.logprobs}
    return json.dumps(
        {
            "id": f"chatcmpl-{call.id}",
            "object": "chat.completion",
            "model": reply.model or f"{call.model}-2026",
            "choices": [choice],
            "usage": reply.usage,
        }
    ).encode()


def _head(reply: Reply, length: int, call: Call) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} Scripted",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        f"X-Request-Id: req-{call.id}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def script(name: str) -> Answer:
    """The answering function that `module:function` names."""
    module, _, function = name.partition(":")
    answer: Answer = getattr(importlib.import_module(module), function)
    return answer


def main() -> None:
    """Serve until killed: by a script, or every call the same answer after the same time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--answer", default='{"text": "hello"}')
    parser.add_argument("--script", help="module:function, in place of the one answer")
    parser.add_argument("--ledger", type=Path, help="a file with a line for every call")
    arguments = parser.parse_args()
    reply = Reply(text=arguments.answer, delay_s=arguments.latency_ms / 1000)
    answer = script(arguments.script) if arguments.script else lambda _: reply
    server = ModelServer(answer, arguments.port, arguments.ledger)
    server.start()
    print(json.dumps({"url": server.url}), flush=True)
    server._thread.join()


if __name__ == "__main__":
    main()
