"""The process of one of the operator's Python checks, as a worker uses it: start, ask, kill.

It is a process, so that a check that hangs or crashes costs the worker nothing but its answer. It
gets the environment without tierline's own settings and the providers' keys.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from tierline.base.json_text import JSON
from tierline.base.provider_settings import KEYS

START_S = 20.0  # until the function is imported
_PRIVATE = frozenset({"DATABASE_URL", "DATABASE_READ_URL", "REDIS_URL"}) | {
    name.upper() for name in KEYS
}
_SIZE_BYTES = 8  # before each message
_MAX_BYTES = 64 * 1024 * 1024  # of a reply


class CheckProcess:
    """One running process. Not thread-safe: one answer at a time."""

    def __init__(self, entry_point: str) -> None:
        """Raises OSError or TimeoutError if it does not come up."""
        ours, theirs = socket.socketpair()
        self._socket = ours
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the name is the operator's
                [
                    sys.executable,
                    "-m",
                    "tierline.services.calls.check_child",
                    entry_point,
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(os.environ),
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            self._receive(time.monotonic() + START_S)  # it is up
        except (OSError, ValueError):
            self.kill()
            raise OSError("the process did not come up") from None

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: JSON, within_s: float) -> JSON:
        """The reply. Raises TimeoutError, OSError and ValueError; then the process must be
        killed."""
        ends_s = time.monotonic() + within_s
        body = json.dumps(question, ensure_ascii=False).encode()
        self._socket.settimeout(within_s)
        self._socket.sendall(len(body).to_bytes(_SIZE_BYTES, "big") + body)
        return self._receive(ends_s)

    def kill(self) -> None:
        """End it and whatever it started. Safe to repeat."""
        self._socket.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _receive(self, ends_s: float) -> JSON:
        size = int.from_bytes(self._read(_SIZE_BYTES, ends_s), "big")
        if size > _MAX_BYTES:
            raise ValueError("the reply is too large")
        return json.loads(self._read(size, ends_s))

    def _read(self, size: int, ends_s: float) -> bytes:
        body = bytearray()
        while len(body) < size:
            rest_s = ends_s - time.monotonic()
            if rest_s <= 0:
                raise TimeoutError
            self._socket.settimeout(rest_s)
            part = self._socket.recv(size - len(body))
            if not part:
                raise OSError("the process has ended")
            body += part
        return bytes(body)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of tierline: they contain keys and passwords."""
    return {
        name: value
        for name, value in given.items()
        if name not in _PRIVATE and not name.startswith("TIERLINE_")
    }
