"""`tierline` on a terminal of its own: what it shows at a size, and what a person types."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import DEADLINE_S


class Screen:
    """The person's side of the terminal."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._seen = b""

    def read(self) -> bytes:
        """Everything shown so far."""
        while select.select([self._end], [], [], 0)[0]:
            try:
                more = os.read(self._end, 65_536)
            except OSError:  # the program has ended
                break
            if not more:
                break
            self._seen += more
        return self._seen

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())


@contextmanager
def on_terminal(
    arguments: Sequence[object],
    env: Mapping[str, str],
    *,
    columns: int = 80,
    rows: int = 24,
    cwd: Path | None = None,
) -> Iterator[tuple["subprocess.Popen[bytes]", Screen]]:
    """The process and its terminal. It is killed at the end of the block."""
    sizeless = {name: one for name, one in env.items() if name not in ("COLUMNS", "LINES")}
    person, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tierline", *map(str, arguments)],
        cwd=cwd,
        env={**sizeless, "TERM": "xterm-256color"},
        stdin=program,
        stdout=program,
        stderr=program,
    )
    os.close(program)
    try:
        yield process, Screen(person)
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        os.close(person)


def shown(
    arguments: Sequence[object], env: Mapping[str, str], *, columns: int = 80, rows: int = 24
) -> str:
    """All that a command shows on a terminal of that size."""
    with on_terminal(arguments, env, columns=columns, rows=rows) as (process, screen):
        while process.poll() is None:
            screen.read()
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        return screen.read().decode().replace("\r\n", "\n")
