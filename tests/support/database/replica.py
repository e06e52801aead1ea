"""A real streaming replica of an embedded server, on a socket of its own."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psycopg
import pytest

from tierline.stack.embedded import postgres
from tierline.stack.embedded.servers import remove_sockets, running_servers
from tierline.stack.home import Home, open_home
from tierline.stack.processes import environment
from tierline.stack.processes.child import Child, guarded
from tierline.stack.processes.logs import LogPump

STOP_S = 20.0
REPLICATED = {"wal_level": "replica", "max_wal_senders": "4"}


class HasHome(Protocol):
    """A running server of the product's."""

    @property
    def home(self) -> Home: ...


@dataclass
class Replica:
    """The replica and its primary."""

    primary: HasHome
    home: Home
    child: Child

    def url(self, primary_url: str) -> str:
        """The URL of the same database on the replica."""
        return primary_url.replace(_quoted(self.primary.home), _quoted(self.home))

    def pause(self) -> None:
        """It receives, and applies nothing, until `resume`."""
        self._do("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        self._do("SELECT pg_wal_replay_resume()")

    def stop(self) -> None:
        self.child.stop(STOP_S)

    def start(self, pump: LogPump) -> None:
        self.child = Child(postgres.program(self.home), self.home, pump)
        self.child.start()
        postgres.wait_ready(self.home, self.child)

    def _do(self, statement: str) -> None:
        admin = self.url(postgres.admin_url(self.primary.home, "postgres"))
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def replicated(folder: Path, pump: LogPump) -> Iterator[Replica]:
    """Servers in a folder, and a replica of their Postgres."""
    with (
        _replicated(),
        running_servers(folder / "primary") as primary,
        replica_of(primary, folder / "replica", pump) as replica,
    ):
        yield replica


@contextlib.contextmanager
def replica_of(primary: HasHome, folder: Path, pump: LogPump) -> Iterator[Replica]:
    """A replica of a running server that was started with `REPLICATED`."""
    home = open_home(folder)
    _copy(primary.home, home)
    with _replicated():  # a replica refuses to start with less than its primary has
        replica = Replica(primary, home, Child(postgres.program(home), home, pump))
        try:
            replica.start(pump)
            yield replica
        finally:
            replica.stop()
            remove_sockets(home)


@contextlib.contextmanager
def _replicated() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in REPLICATED.items():
            patch.setitem(postgres.SETTINGS, name, value)
        yield


def _copy(primary: Home, home: Home) -> None:
    source = postgres.admin_url(primary, "postgres")
    argv = [
        *[postgres.binary("pg_basebackup"), "-d", source, "-D", str(home.postgres)],
        *["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"],
    ]
    done = subprocess.run(
        guarded(argv, signal.SIGKILL, drop_root=True),
        stdin=subprocess.DEVNULL,
        env=environment.base(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def _quoted(home: Home) -> str:
    return quote(str(home.sockets), safe="")
