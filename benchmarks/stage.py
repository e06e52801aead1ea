"""What every benchmark stands on: real servers in a temporary home, processes, a model server."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import httpx

from tests.support.processes import started as processes
from tests.support.waiting import wait_until
from tierline.stack.embedded import postgres, valkey
from tierline.stack.embedded.servers import Servers, running_servers
from tierline.stack.ports import free_port
from tierline.storage.db.migrate import upgrade


@dataclass(frozen=True)
class Stage:
    """The servers of one benchmark and how its processes reach them."""

    servers: Servers
    database_url: str
    redis_url: str
    admin_url: str  # of the same database, for its superuser

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "OPENAI_API_KEY": "not-a-key",
            # One account sends all of the load: the rate of one is not what is measured.
            "TIERLINE_MAX_REQUESTS_PER_S": "1000000",
            **more,
        }


@contextmanager
def stage(settings: Mapping[str, str] | None = None, home: Path | None = None) -> Iterator[Stage]:
    """A migrated, empty database and an empty broker. `settings`: more of the database server.

    `home`: a folder that stays, with what is in it. Without one, a temporary one is made, as a copy
    of the migrated home in BENCH_PREPARED_HOME if that is set.
    """
    folders = (
        tempfile.TemporaryDirectory(prefix="tierline-bench-")
        if home is None
        else nullcontext(str(home))
    )
    with (
        patch.dict(postgres.SETTINGS, settings or {}),
        folders as folder,
        running_servers(_prepared(Path(folder)) if home is None else home) as servers,
    ):
        database_url = postgres.url(servers.home)
        upgrade(database_url)
        admin_url = postgres.admin_url(servers.home)
        yield Stage(servers, database_url, valkey.url(servers.home), admin_url)


def _prepared(folder: Path) -> Path:
    """The folder of a home that is new."""
    if prepared := os.environ.get("BENCH_PREPARED_HOME"):
        # As an archive: PostgreSQL checks the owner and the mode of its files.
        subprocess.run(["cp", "-a", prepared, str(folder / "home")], check=True)
        return folder / "home"
    return folder


@contextmanager
def process(
    arguments: Sequence[str],
    environment: dict[str, str],
    *,
    output: int = subprocess.DEVNULL,
    python: str | Path = sys.executable,
) -> Iterator[subprocess.Popen[bytes]]:
    """`python arguments` until the block ends; with BENCH_LOG set it may say what goes wrong."""
    errors = None if "BENCH_LOG" in os.environ else subprocess.DEVNULL
    with processes.process(
        arguments, environment, output=output, errors=errors, python=python
    ) as child:
        yield child


@contextmanager
def model_server(latency_ms: float) -> Iterator[str]:
    """The URL of a model server in a process of its own."""
    with processes.model_server("--latency-ms", str(latency_ms)) as url:
        yield url


@contextmanager
def api(environment: dict[str, str]) -> Iterator[str]:
    """The URL of an API process that is ready."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process(["-m", "api", "--port", str(port)], environment):
        wait_until(lambda: answers(f"{url}/readyz", 200), 60, "the API", 0.05)
        yield url


def answers(url: str, status: int) -> bool:
    """Whether a GET is answered with that status by now."""
    try:
        return httpx.get(url, trust_env=False).status_code == status
    except httpx.TransportError:
        return False
