"""Loopback ports: a free one, or an error for a used one."""

import socket

from tierline.base.errors import UsageError

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def choose(port: int, option: str) -> int:
    """`wanted`, or a free port for 0. Raises UsageError, naming the option, if it is in use."""
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"{option} {port}: {error.strerror}; name another port, or 0 for a free one"
            ) from None
    return port
