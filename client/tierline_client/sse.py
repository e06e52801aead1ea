"""Parses server-sent events (HTML standard, section 9.2) as their bytes come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    type: str
    data: str
    id: str | None  # the last id that the stream sent, for Last-Event-ID


class EventParser:
    r"""Makes events from the bytes of a stream.

    >>> parser = EventParser()
    >>> list(parser.feed(b"event: job.queued\nid: 0\nda"))
    []
    >>> list(parser.feed(b"ta: {}\n\n"))
    [ServerEvent(type='job.queued', data='{}', id='0')]
    """

    def __init__(self) -> None:
        self._last_id: str | None = None
        self._type = ""
        self._data: list[str] = []
        self._rest = b""  # a line whose end has not come

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that these bytes complete."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> ServerEvent | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._type = value
            elif name == "data":
                self._data.append(value)
            elif name == "id" and "\0" not in value:
                self._last_id = value
            return None
        kind, data = self._type or "message", self._data
        self._type, self._data = "", []
        return ServerEvent(kind, "\n".join(data), self._last_id) if data else None
