"""PostgreSQL and Valkey together, for `tierline up` and the integration tests.

Processes left from an earlier run of the home are ended first. Both servers start at the same time.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tierline.stack.embedded import postgres, valkey
from tierline.stack.home import Home, HomeLock, open_home
from tierline.stack.processes import identity
from tierline.stack.processes.child import HOME_MARK, Child
from tierline.stack.processes.logs import LogPump

STOP_S = 30.0  # enough for a checkpoint on a slow disk


class Servers:
    """The embedded servers of one home. The caller holds its lock."""

    def __init__(
        self, home: Home, pump: LogPump, *, with_postgres: bool = True, with_valkey: bool = True
    ) -> None:
        self.home = home
        self._pump = pump
        self.postgres = Child(postgres.program(home), home, pump) if with_postgres else None
        self.valkey = Child(valkey.program(home), home, pump) if with_valkey else None

    def begin(self) -> None:
        """Start what can start without waiting; `start` does the rest."""
        if self.valkey is not None:
            valkey.prepare(self.home)
            self.valkey.start()
        if self.postgres is not None and postgres.prepared(self.home):
            self.postgres.start()

    def start(self, alive: Callable[[], None] = lambda: None) -> None:
        """Start the servers and wait until they answer.

        `alive` may raise to give up early.
        """
        if self.valkey is not None and self.valkey.pid is None:
            self.begin()
        if self.postgres is not None:
            if self.postgres.pid is None:
                postgres.prepare(self.home)
                alive()
                self.postgres.start()
            postgres.wait_ready(self.home, self.postgres, alive)
            # Importing this is slow; the server starts meanwhile.
            from tierline.stack.embedded.database import make_database

            make_database(self.home)
        if self.valkey is not None:
            valkey.wait_ready(self.home, self.valkey, alive)

    def children(self) -> list[Child]:
        """In the order in which to stop them."""
        return [child for child in (self.valkey, self.postgres) if child is not None]

    def stop(self) -> None:
        for child in self.children():
            child.stop(STOP_S)


@contextlib.contextmanager
def running_servers(path: Path) -> Iterator[Servers]:
    """PostgreSQL and Valkey in a folder, for the duration of the context."""
    home = open_home(path)
    lock = HomeLock(home)
    lock.acquire()
    pump = LogPump()
    try:
        end_left_overs(home)
        servers = Servers(home, pump)
        try:
            servers.start()
            yield servers
        finally:
            servers.stop()
    finally:
        pump.close()
        remove_sockets(home)
        lock.release()


def end_left_overs(home: Home) -> list[str]:
    """End what an earlier supervisor of this home left running. Returns the names of the ended
    processes.

    Only for the holder of the home's lock. A process belongs to this home if it is recorded with
    pid and start time, or has the home's mark in its environment; a database, if it is in the
    home's data folder.
    """
    processes: dict[str, identity.ProcessId] = {}
    for name, process in identity.records(home.run):
        if name != "postgres" and process.alive():
            processes[name] = process
    recorded = {process.pid for process in processes.values()}
    for pid in _marked(home):
        process_id = identity.ProcessId.of(pid)
        if pid not in recorded and process_id is not None:
            processes[f"pid {pid}"] = process_id
    for name, process in processes.items():
        if name == "valkey":  # it writes its data to disk
            process.signal(signal.SIGTERM)
            with contextlib.suppress(psutil.Error, psutil.TimeoutExpired):
                psutil.Process(process.pid).wait(5.0)
        elif process.pid in recorded:
            # Its session's members are looked up while it still leads them, because the group's
            # number may be reused afterwards.
            process.signal_group(signal.SIGKILL)
        process.signal(signal.SIGKILL)
    postgres.end_left_over(home)
    for name, _ in list(identity.records(home.run)):
        identity.remove_record(home.run, name)
    return sorted(processes)


def remove_sockets(home: Home) -> None:
    """Remove the folder under /tmp."""
    for path in home.sockets.glob("*"):
        path.unlink(missing_ok=True)
    for path in home.sockets.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.sockets.rmdir()


def _marked(home: Home) -> list[int]:
    pids = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(HOME_MARK) == home.tag:
                pids.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return pids
