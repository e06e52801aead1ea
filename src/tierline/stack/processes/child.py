"""One child process: started through the guard, recorded in the home, stopped in order.

The supervisor decides on restarts. Children are started from the main thread only, because the
kernel's parent-death signal follows the thread that forked, not the process.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tierline.base.errors import TierlineError
from tierline.stack.home import Home
from tierline.stack.processes import environment, identity
from tierline.stack.processes.identity import ProcessId
from tierline.stack.processes.logs import BoundedLog, LogPump

GUARD = Path(__file__).with_name("guard.py")
HOME_MARK = "TIERLINE_HOME_MARK"  # an environment variable of each child that names its home
HAS_DEATH_SIGNAL = sys.platform.startswith("linux")


def guarded(
    argv: Sequence[str],
    death_signal: int,
    *,
    watch_fd: int | None = None,
    drop_root: bool = False,
) -> list[str]:
    """The command that starts `argv`, bound to this process's life; see guard.py."""
    return [
        *[sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(int(death_signal))],
        *["-" if watch_fd is None else str(watch_fd), "auto" if drop_root else "no"],
        *argv,
    ]


class StartFailed(TierlineError):
    """A process ended before it was ready. The message ends with its last lines."""


@dataclass(frozen=True)
class Program:
    """What to run, and how to stop it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=environment.base)  # its whole environment
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM  # for an orderly stop
    death_signal: int = signal.SIGKILL  # sent by the kernel when the supervisor dies
    drop_root: bool = False  # it refuses to run as root


class Child:
    """A running program, or one that has ended, with its exit code."""

    def __init__(self, program: Program, home: Home, pump: LogPump) -> None:
        self.program = program
        self.log = BoundedLog(home.log / f"{program.name}.log")
        self.process: ProcessId | None = None
        self.started_at = 0.0  # monotonic
        self._home = home
        self._pump = pump
        self._popen: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._recorded = False

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen is not None else None

    def start(self) -> None:
        inherited: list[int] = []
        watched = None
        if not HAS_DEATH_SIGNAL:
            watched, self._lifeline = os.pipe()
            inherited.append(watched)
        argv = guarded(
            self.program.argv,
            self.program.death_signal,
            watch_fd=watched,
            drop_root=self.program.drop_root,
        )
        reading, writing = os.pipe()
        try:
            self._popen = subprocess.Popen(
                argv,
                env={**self.program.env, HOME_MARK: self._home.tag},
                cwd=self.program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=inherited,
                start_new_session=True,  # the supervisor handles the terminal's Ctrl-C
            )
        finally:
            os.close(writing)
            if watched is not None:
                os.close(watched)
        self._pump.add(reading, self.log)
        self.started_at = time.monotonic()
        self.process = ProcessId.of(self._popen.pid)
        self._recorded = False
        self._record()

    def _record(self) -> None:
        """Record the child in the home. A full disk must not end the supervisor. The record is then
        written later. Until then the mark in the child's environment identifies it."""
        if self.process is None or self._recorded:
            return
        with contextlib.suppress(OSError):
            identity.write_record(self._home.run, self.name, self.process)
            self._recorded = True

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._popen is None:
            return None
        code = self._popen.poll()
        if code is None:
            self._record()
        else:
            identity.remove_record(self._home.run, self.name)
            if self._lifeline is not None:
                os.close(self._lifeline)
                self._lifeline = None
        return code

    def running(self) -> bool:
        return self._popen is not None and self.poll() is None

    def signal(self, number: int) -> None:
        if self._popen is not None:
            self._popen.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        if self._popen is None:
            return True
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self.poll()
        return True

    def stop(self, grace_s: float) -> None:
        """Ask it to end; after `grace_s` seconds kill it and everything that it started."""
        if self.running():
            self.signal(self.program.stop_signal)
            self.wait(grace_s)
        self.kill()

    def kill(self) -> None:
        """Kill it and everything in its session now."""
        if self._popen is None:
            return
        if self.running():
            self.signal(signal.SIGKILL)
            self.wait(5.0)
        if self.process is not None:
            self.process.signal_group(signal.SIGKILL)

    def failed(self, reason: str) -> StartFailed:
        """The error to raise when this program did not become ready."""
        lines = "\n  ".join(self.log.tail)
        shown = f":\n  {lines}" if lines else ""
        return StartFailed(f"{self.name} {reason}; see {self.log.path}{shown}")
