"""Keeps children running: starts again what dies, stops all of it in order, and then at once.

Everything here runs in the main thread, which is the one that must start children. A first SIGINT
or SIGTERM asks for an orderly stop; a second one, whatever is being waited for, for the end now.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from tierline.stack.backoff import next_wait_s
from tierline.stack.child import Child

LOOK_S = 1.0  # how often the loop looks when no child's end wakes it
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping(Exception):
    """Somebody asked for the end while something was still starting."""


@dataclass
class Kept:
    """A child that is kept running, and when it is due again after it died."""

    child: Child
    wait_s: float | None = None
    due_at: float | None = None  # monotonic; None while it runs
    starts: int = 0


class Supervisor:
    """The children of one `up`. `report` is told of every end that nobody asked for."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.kept: dict[str, Kept] = {}
        self._report = report
        self._asked = 0
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)

    def listen(self) -> None:
        """Take over the signals that stop, and the one that tells of a child's end."""
        signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup: the terminal's end is not ours
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    @property
    def stopping(self) -> bool:
        return self._asked > 0

    @property
    def at_once(self) -> bool:
        return self._asked > 1

    def check(self) -> None:
        """Raises Stopping when the end was asked for. Called by whatever waits while starting."""
        if self.stopping:
            raise Stopping

    def keep(self, child: Child, *, started: bool = False) -> None:
        """Start a child, unless it was started already, and start it again whenever it ends."""
        kept = Kept(child)
        self.kept[child.name] = kept
        if not started:
            child.start()
        kept.starts = 1

    def tend(self) -> None:
        """Start again whatever has ended and is due."""
        now = time.monotonic()
        for kept in self.kept.values():
            child = kept.child
            if kept.due_at is None:
                code = child.poll()
                if code is None:
                    continue
                child.kill()  # what it may have started itself
                kept.wait_s = next_wait_s(kept.wait_s, now - child.started_at)
                kept.due_at = now + kept.wait_s
                self._report(f"{child.name} {ended(code)}; starts again in {kept.wait_s:g} s")
            elif now >= kept.due_at:
                kept.due_at = None
                child.start()
                kept.starts += 1

    def pause(self, longest_s: float = LOOK_S) -> None:
        """Wait until a signal comes, a start is due, or the time is over."""
        now = time.monotonic()
        due = [kept.due_at - now for kept in self.kept.values() if kept.due_at is not None]
        wait_s = max(0.0, min([longest_s, *due]))
        for _ in self._selector.select(wait_s):
            try:
                os.read(self._wake_out, 4096)
            except BlockingIOError:
                break

    def stop(self, groups: Sequence[Sequence[Child]], grace_s: float) -> None:
        """End the groups one after the other, each at the same time, each with its grace.

        Once the end is wanted at once, nothing is waited for. Children that live in no group here
        and whatever they left in their sessions are ended by the kill that closes each group.
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
                self.kept.pop(child.name, None)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1


def ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
