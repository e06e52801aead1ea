"""The file in DIR/run with the addresses and the key of a running `up`.

It is written with mode 0600 once everything answers, and removed at the stop. If `up` was killed,
the file is recognised as stale because its process is gone.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tierline.stack.home import running_home, write_private
from tierline.stack.processes.identity import ProcessId


@dataclass(frozen=True)
class Addresses:
    """The addresses and keys of a running `up`: the line that --json prints."""

    api: str
    flower: str | None
    api_key: str | None
    flower_user: str | None
    flower_password: str | None
    database_url: str
    redis_url: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def announce(run: Path, addresses: Addresses) -> None:
    """Write up.json, and the key alone in a file beside it."""
    me = ProcessId.of(os.getpid())
    values = {"pid": os.getpid(), "start": me.start if me else "", **asdict(addresses)}
    write_private(run / "up.json", json.dumps(values))


def withdraw(run: Path) -> None:
    for name in ("up.json", "api_key"):
        (run / name).unlink(missing_ok=True)


def find_running(home: Path) -> Addresses | None:
    """The addresses of the `up` that runs on a home now; None if none does."""
    try:
        values = json.loads((running_home(home) / "up.json").read_text())
        process = ProcessId(int(values.pop("pid")), str(values.pop("start")))
        addresses = Addresses(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return addresses if process.alive() else None
