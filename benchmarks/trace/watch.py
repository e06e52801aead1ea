"""What the processes of the product hold: memory, threads, open files, connections to servers."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import psycopg
import redis

from tests.support.processes.up import RunningUp

PROCESSES = ("api", "dispatcher", "slm", "deeper", "webhooks", "quarantine", "flower")
CONNECTIONS = (
    "SELECT application_name, count(*) FROM pg_stat_activity"
    " WHERE application_name LIKE 'tierline-%' GROUP BY application_name"
)


@dataclass(frozen=True)
class Held:
    """What was held at one moment."""

    at_s: float  # monotonic
    rss: Mapping[str, int]  # bytes, by process
    threads: Mapping[str, int]
    files: Mapping[str, int]  # open descriptors, sockets among them
    postgres: Mapping[str, int]  # connections, by the name that they give
    broker_clients: int
    broker_bytes: int

    def counts(self) -> dict[str, int]:
        """Everything that is to come back to where it was."""
        counts = {f"threads of {name}": count for name, count in self.threads.items()}
        counts |= {f"open files of {name}": count for name, count in self.files.items()}
        counts |= {f"connections of {name}": count for name, count in self.postgres.items()}
        return counts | {"connections to the broker": self.broker_clients}


class Watch:
    """Looks at a running product; every `every_s` seconds while it is entered."""

    def __init__(self, up: RunningUp, every_s: float) -> None:
        self.seen: list[Held] = []
        self._every_s = every_s
        pids = {name: up.pid_of(name) for name in PROCESSES}
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._database = psycopg.connect(str(up.line["database_url"]), autocommit=True)
        self._broker = redis.Redis.from_url(str(up.line["redis_url"]))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def close(self) -> None:
        self._database.close()
        self._broker.close()

    def look(self) -> Held:
        """Now. Raises psutil.NoSuchProcess where a process ended: it is to be there throughout."""
        each = self._processes.items()
        info = self._broker.info()
        return Held(
            time.monotonic(),
            {name: process.memory_info().rss for name, process in each},
            {name: process.num_threads() for name, process in each},
            {name: process.num_fds() for name, process in each},
            Counter(dict(self._database.execute(CONNECTIONS).fetchall())),
            int(info["connected_clients"]),
            int(info["used_memory"]),
        )

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self.seen.append(self.look())
