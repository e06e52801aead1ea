"""The children's output, line by line, in DIR/log/<name>.log, with limited size.

One thread reads all pipes, so a child never waits for the supervisor. A full disk costs log lines,
not processes.
"""

import os
import selectors
import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3  # files per process, including the current one
LONGEST_LINE = 16 * 1024
TAIL_LINES = 20  # kept in memory, to show if a process cannot be started


class BoundedLog:
    """One log file that is renamed to .1, .2 when it is full."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, files_kept: int = KEPT) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._max_bytes = max_bytes
        self._kept = files_kept
        self._size = path.stat().st_size if path.exists() else 0

    def line(self, text: str) -> None:
        self.tail.append(text)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        data = f"{now}Z {self.path.stem} | {text}\n".encode(errors="replace")
        try:
            if self._size + len(data) > self._max_bytes:
                self._rotate()
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                self._size += os.write(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError:
            return  # a full disk, or a folder that was removed: the process continues

    def _rotate(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            source = self.path if number == 1 else self._numbered(number - 1)
            if source.exists():
                source.replace(self._numbered(number))
        self.path.unlink(missing_ok=True)
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


class LogPump:
    """Reads pipes and writes their lines to their logs until closed."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._new: deque[tuple[int, BoundedLog]] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def add(self, descriptor: int, log: BoundedLog) -> None:
        """Take over the reading end of a pipe; it is closed here at its end."""
        self._new.append((descriptor, log))
        os.write(self._wake_in, b"+")

    def close(self, timeout_s: float = 2.0) -> None:
        """Read the rest of the pipes whose writers have ended, and stop."""
        self._closing = True
        os.write(self._wake_in, b"-")
        self._thread.join(timeout_s)

    def _run(self) -> None:
        rest: dict[int, bytes] = {}
        while not (self._closing and len(self._selector.get_map()) == 1 and not self._new):
            for key, _ in self._selector.select(1.0 if self._closing else None):
                if key.fd == self._wake_out:
                    os.read(self._wake_out, 4096)
                    continue
                self._read(key.fd, key.data, rest)
            while self._new:
                descriptor, log = self._new.popleft()
                os.set_blocking(descriptor, False)
                self._selector.register(descriptor, selectors.EVENT_READ, log)

    def _read(self, descriptor: int, log: BoundedLog, rest: dict[int, bytes]) -> None:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        text = rest.pop(descriptor, b"") + data
        *lines, last = text.split(b"\n")
        if not data or len(last) > LONGEST_LINE:
            lines.append(last)
            last = b""
        for line in lines:
            if line:
                log.line(line[:LONGEST_LINE].decode(errors="replace").rstrip("\r"))
        if data:
            if last:
                rest[descriptor] = last
        else:
            self._selector.unregister(descriptor)
            os.close(descriptor)
