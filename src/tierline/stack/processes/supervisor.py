"""Keeps children running: restarts those that die, and stops all in order, or at once.

Everything here runs in the main thread, which must be the one that starts children. The first
SIGINT or SIGTERM asks for an orderly stop; a second one ends everything at once.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from tierline.stack.processes.backoff import next_wait_s
from tierline.stack.processes.child import Child

LOOK_S = 1.0  # how often the loop checks when no child's end wakes it
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping(Exception):
    """A stop was requested during the start."""


@dataclass
class Supervised:
    """A child that is kept running, and the time of its next start after it died."""

    child: Child
    wait_s: float | None = None
    due_at: float | None = None  # monotonic; None while it runs
    starts: int = 0


class Supervisor:
    """The children of one `up`. `report` is called for every unexpected end."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.supervised: dict[str, Supervised] = {}
        self._report = report
        self._stop_signals = 0
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)

    def listen(self) -> None:
        """Handle the signals that stop, and the one for a child's end."""
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup: keep ignoring it
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    @property
    def stopping(self) -> bool:
        return self._stop_signals > 0

    @property
    def at_once(self) -> bool:
        return self._stop_signals > 1

    def check(self) -> None:
        """Raises Stopping if a stop was requested. Code that waits during the start calls it."""
        if self.stopping:
            raise Stopping

    def keep(self, child: Child, *, started: bool = False) -> None:
        """Start a child, unless it is started already, and restart it whenever it ends."""
        entry = Supervised(child)
        self.supervised[child.name] = entry
        if not started:
            child.start()
        entry.starts = 1

    def tend(self) -> None:
        """Restart every child that has ended and is due."""
        now = time.monotonic()
        for entry in self.supervised.values():
            child = entry.child
            if entry.due_at is None:
                code = child.poll()
                if code is None:
                    continue
                child.kill()  # also what it started itself
                entry.wait_s = next_wait_s(entry.wait_s, now - child.started_at)
                entry.due_at = now + entry.wait_s
                self._report(f"{child.name} {ended(code)}; it starts again in {entry.wait_s:g} s")
            elif now >= entry.due_at:
                entry.due_at = None
                child.start()
                entry.starts += 1

    def pause(self, longest_s: float = LOOK_S) -> None:
        """Wait until a signal arrives, a start is due, or the time is over."""
        now = time.monotonic()
        due = [entry.due_at - now for entry in self.supervised.values() if entry.due_at is not None]
        wait_s = max(0.0, min([longest_s, *due]))
        for _ in self._selector.select(wait_s):
            try:
                os.read(self._wake_out, 4096)
            except BlockingIOError:
                break

    def stop(self, groups: Sequence[Sequence[Child]], grace_s: float) -> None:
        """End the groups one after the other, each with its grace period. The children of a group
        end at the same time.

        After a second signal nothing is waited for. Children outside the groups, and processes that
        they left in their sessions, are ended by the kill after each group.
        """
        for group in groups:
            for child in group:
                if child.running():
                    child.signal(child.program.stop_signal)
            deadline = time.monotonic() + grace_s
            while any(child.running() for child in group):
                if self.at_once or time.monotonic() > deadline:
                    break
                self.pause(0.05)
            for child in group:
                child.kill()
                self.supervised.pop(child.name, None)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1


def ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
