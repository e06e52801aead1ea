"""Whether each part of a running product answers: single checks that do not wait."""

import base64
import http.client
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tierline.base.errors import TierlineError
from tierline.stack.ports import HOST
from tierline.stack.processes.procfile import Entry

if TYPE_CHECKING:
    import psycopg

ASK_S = 2.0  # the time limit of one check
BEATS_S = 0.1  # how often the workers' beats are read while waiting for one

Check = Callable[[], bool]


def http_answers(port: int, path: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether GET `path` on loopback gives 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ASK_S)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def flower_answers(port: int, user: str, password: str) -> bool:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return http_answers(port, "/tasks", {"Authorization": f"Basic {credentials}"})


def worker_name(entry: Entry) -> str | None:
    """The name of the worker in a Procfile entry; None if it is no worker."""
    match = re.search(r"-m workers\b(?!\.).*--name[ =](\S+)", entry.command)
    return match[1] if match else None


class Workers:
    """Finds the workers that started since this object was made, by the beats in the database."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection[Any] | None = None
        self._looked = 0.0
        self._shown: frozenset[str] = frozenset()
        self._before = {worker for worker, _ in self._beats()}

    def started(self, name: str) -> bool:
        now = time.monotonic()
        if now - self._looked > BEATS_S:
            self._looked = now
            self._shown = frozenset(
                full_name.split("@")[0]
                for worker, full_name in self._beats()
                if worker not in self._before
            )
        return name in self._shown

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _beats(self) -> list[tuple[object, str]]:
        import psycopg

        from tierline.storage.jobs.beats import read_beats

        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, connect_timeout=2, autocommit=True)
            return [(row.worker, row.name) for row in read_beats(self._connection)]
        except psycopg.Error:  # the database restarts; no worker is visible meanwhile
            self.close()
            return []


def wait_for(checks: Mapping[str, Check], timeout_s: float, between: Callable[[], None]) -> None:
    """Wait until every check has been true once. `between` runs while waiting and may raise.

    Raises TierlineError after `timeout_s` seconds, naming what did not answer.
    """
    deadline = time.monotonic() + timeout_s
    open_checks = dict(checks)
    while True:
        open_checks = {name: check for name, check in open_checks.items() if not check()}
        if not open_checks:
            return
        if time.monotonic() > deadline:
            raise TierlineError(f"not ready within {timeout_s:.0f} s: {', '.join(open_checks)}")
        between()
