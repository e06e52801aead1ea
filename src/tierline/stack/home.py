"""The home: the one folder with an installation's data, logs and run files.

    DIR/lock            locked by the running `up`; contains its process
    DIR/secrets.json    passwords of the embedded servers, made once
    DIR/postgres, DIR/valkey   the servers' data
    DIR/log             one file a process
    DIR/run             valid only while `up` runs: pids, the run's key, addresses

Sockets cannot be there: a Unix socket's path is limited to 107 bytes, and Flower does not accept a
path with a space. They are in a folder under /tmp, private to the user, named after the home.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tierline.base.errors import UsageError

SOCKET_ROOT = Path("/tmp")  # noqa: S108 -- short on purpose, and what is made in it is checked


class HomeBusy(UsageError):
    """Another `up` uses this home."""


@dataclass(frozen=True)
class Home:
    """The paths of one home. Use `open_home` to make it."""

    path: Path
    sockets: Path

    @property
    def tag(self) -> str:
        """A short name for this home, without characters from its path."""
        return tag_of(self.path)

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def secret(self, name: str) -> str:
        """A password that is made once and kept in the home, with mode 0600."""
        path = self.path / "secrets.json"
        stored: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in stored:
            stored[name] = secrets.token_urlsafe(24)
            write_private(path, json.dumps(stored))
        return stored[name]


def default_home() -> Path:
    """The default home: $XDG_DATA_HOME/tierline."""
    base = os.environ.get("XDG_DATA_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "tierline"


def open_home(path: Path) -> Home:
    """Make the home if it is missing, and check that only this user can write to it.

    Raises UsageError if it cannot be made, belongs to another user, or others can write to it.
    """
    path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 -- resolve() would follow links
    home = Home(path, SOCKET_ROOT / f"tierline-{os.geteuid()}-{tag_of(path)}")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_own(path, path.stat())
        if stat.S_IMODE(path.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(
                f"other users can write to {path}, and could replace its files: "
                f"chmod go-w {path}, or choose another --home"
            )
        for folder in (home.log, home.run):
            folder.mkdir(exist_ok=True, mode=0o700)
            folder.chmod(0o700)  # whatever its mode was
        home.sockets.mkdir(exist_ok=True, mode=0o700)
        _check_own(home.sockets, home.sockets.lstat())  # /tmp is everybody's: no link is followed
        home.sockets.chmod(0o700)
    except OSError as error:
        raise UsageError(
            f"--home {path}: the folder for data, logs and keys cannot be made there "
            f"({error.strerror or error}): choose a folder that you can write to"
        ) from None
    return home


def running_home(path: Path) -> Path:
    """The run folder of a home that may not exist; nothing is created."""
    return Path(os.path.abspath(path.expanduser())) / "run"  # noqa: PTH100


class HomeLock:
    """Locks a home for one process, until it is closed or the process ends."""

    def __init__(self, home: Home) -> None:
        self._path = home.path / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises HomeBusy, which names the holder, if another process has it."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise HomeBusy(
                f"{self._path.parent} is in use by 'tierline up' with pid {holder}; "
                "stop that one first, or choose another --home"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically, readable by its owner only."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def tag_of(path: Path) -> str:
    """A short name for the home at this path, for environment variables and socket names."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _check_own(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{path} is not a folder")
    if status.st_uid != os.geteuid():
        raise UsageError(
            f"{path} belongs to user {status.st_uid} and this is user {os.geteuid()}: "
            "run as its owner, or choose another --home"
        )
