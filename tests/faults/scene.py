"""The product in a fault run and what stands around it: the model server, the receiver, accounts.

Everything is the real thing: `tierline up` in a process, its servers, HTTP on loopback. What is
broken is broken by process id, over the servers' own connections, or at their sockets.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil
import psycopg
import redis

from tests.faults.features import DOCUMENTS
from tests.faults.orders import ACCOUNTS
from tests.faults.receipts import Receipts
from tests.faults.small_disk import small_disk
from tests.faults.states import answers, lives
from tests.support.database.replica import REPLICATED
from tests.support.processes.previous_release import python_path
from tests.support.processes.started import ROOT, model_server, process, processes
from tests.support.processes.up import RunningUp, environment, run_up, superuser_url
from tests.support.waiting import wait_until
from tierline.stack.embedded import postgres, valkey
from tierline.stack.home import open_home
from tierline.stack.ports import free_port

PATIENCE_S = 90.0  # for something to be there again after it was broken
ROWS_EVERY_S = 0.1  # how often a condition is read in the database

# Notes every end of a job, and every change of one that has ended: each job has one line. Before
# the change and not after it, because the end of a job moves its row to another partition, and no
# trigger after an update sees that.
WATCH_ENDINGS = """
CREATE TABLE IF NOT EXISTS watched_endings (job_id uuid, was text, became text);
CREATE OR REPLACE FUNCTION watch_endings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO watched_endings VALUES (new.id, old.status, new.status);
    RETURN new;
END $$;
CREATE OR REPLACE TRIGGER watch_endings BEFORE UPDATE OF status ON jobs FOR EACH ROW
    WHEN (old.status <> new.status
        AND (new.completed_at IS NOT NULL OR old.completed_at IS NOT NULL))
    EXECUTE FUNCTION watch_endings();
"""

# An upgrade from a release without partitions makes `jobs` anew, and the table of before a part of
# it. In the same transaction the new table gets the trigger, and its parts with it.
WATCH_DIVISION = """
CREATE OR REPLACE FUNCTION watch_division() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
               WHERE object_identity = 'public.jobs') THEN
        DROP TRIGGER watch_endings ON jobs_before;
        CREATE TRIGGER watch_endings BEFORE UPDATE OF status ON jobs FOR EACH ROW
            WHEN (old.status <> new.status
                AND (new.completed_at IS NOT NULL OR old.completed_at IS NOT NULL))
            EXECUTE FUNCTION watch_endings();
    END IF;
END $$;
CREATE EVENT TRIGGER watch_division ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION watch_division();
"""

# `tierline up`, but its Postgres writes what a replica needs, as a server of one's own does.
REPLICATED_UP = f"""
import sys
from tierline.stack.embedded import postgres
postgres.SETTINGS |= {REPLICATED!r}
sys.argv[:] = sys.argv[1:]
from tierline.cli.main import main
main()
"""


@dataclass(frozen=True)
class Times:
    """How patient the product and the faults are, in seconds."""

    lease_s: float = 15.0
    beat_s: float = 2.0
    hint_lost_s: float = 5.0
    outage_s: float = 20.0  # of a database that is away; over a lease
    broker_outage_s: float = 20.0
    siege_s: float = 15.0  # how long a hostile caller goes on
    batch_every_s: float = 4.0  # how often a batch is sent
    file_every_s: float = 20.0  # … and a file is begun: two processes of the command line each


SHORT = Times(
    lease_s=3.0,
    beat_s=0.5,
    hint_lost_s=2.0,
    outage_s=3.5,
    broker_outage_s=2.0,
    siege_s=1.0,
    batch_every_s=8.0,
    file_every_s=40.0,
)


class Scene:
    """One installation under fire. A context manager: all of it ends with the block."""

    def __init__(
        self,
        folder: Path,
        times: Times,
        seed: int,
        *,
        own_disk: bool = False,
        release: Path = ROOT,
        flower: bool = True,
    ) -> None:
        self.release = release  # the checkout whose `up` is started
        self.folder = folder
        self.times = times
        self.seed = seed
        self.ledger = folder / "ledger.jsonl"
        self.keys: dict[str, str] = {}  # by account
        self.home = folder / "home"
        # Why the home has no disk of its own, which may be filled; None: it has one.
        self.no_small_disk: str | None = "this run has no disk of its own"
        self._more = () if flower else ("--no-flower",)
        self._own_disk = own_disk  # … and is to have one
        self._port, self._flower_port = free_port(), free_port()
        self.apis = [f"http://127.0.0.1:{self._port}"]  # where callers may send what they ask
        self._stack = ExitStack()
        self._env: dict[str, str] = {}
        self._never = threading.Event()
        self._reader: psycopg.Connection[Any] | None = None

    def __enter__(self) -> "Scene":
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget_reader()
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self._stack = stack
        if self._own_disk:
            self.no_small_disk = (
                None
                if stack.enter_context(small_disk(self.home))
                else "a tmpfs can be mounted by root only, and on Linux"
            )
        script = ("--script", "tests.faults.answers:answer", "--ledger", str(self.ledger))
        self.receipts = stack.enter_context(Receipts.receiving())
        self._env = {
            "OPENAI_BASE_URL": stack.enter_context(model_server(*script)),
            "OPENAI_API_KEY": "not-a-real-one",
            "TIERLINE_LOCAL_URL": "http://127.0.0.1:9/v1",
            "TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
            "TIERLINE_LEASE_S": str(self.times.lease_s),
            "TIERLINE_BEAT_S": str(self.times.beat_s),
            "TIERLINE_HINT_LOST_S": str(self.times.hint_lost_s),
        }
        self.start_up()
        with self.database() as connection:
            connection.execute(WATCH_ENDINGS)
        if self.release != ROOT:
            with self.superuser() as connection:
                connection.execute(WATCH_DIVISION)
        self._make_accounts()

    def start_up(self) -> None:
        """Run `tierline up` on the home, once more after one was killed."""
        ports = ("--port", str(self._port), "--flower-port", str(self._flower_port))
        env = {**self._env, **python_path(self.release)}
        prefix = (sys.executable, "-c", REPLICATED_UP) if self.release == ROOT else ()
        self.up: RunningUp = self._stack.enter_context(
            run_up(self.home, *ports, *self._more, env=env, prefix=prefix)
        )

    def _make_accounts(self) -> None:
        with self.client(str(self.up.line["api_key"])) as admin:
            for document in DOCUMENTS.values():
                headers = {"Content-Type": "application/yaml"}
                applied = admin.post("/v1/features", content=document, headers=headers)
                assert applied.status_code < 300, applied.text
            for name in ACCOUNTS:
                admin.post("/v1/accounts", json={"name": name}).raise_for_status()
                asked = {"account": name, "scopes": ["submit", "read", "admin"]}
                made = admin.post("/v1/keys", json=asked).raise_for_status().json()
                self.keys[name] = made["key"]
                with self.client(made["key"]) as own:
                    secret = own.get("/v1/webhook-secret").raise_for_status().json()["secret"]
                    self.receipts.trust(name, secret)
        with self.client(self.keys[ACCOUNTS[-1]]) as own:
            listens: dict[str, object] = {
                "url": self.receipts.url("endpoint"),
                "events": ["job.completed"],
            }
            if self.release == ROOT:  # the release before has no other endpoints
                listens["batch_rows"] = True
            made = own.post("/v1/webhook-endpoints", json=listens).raise_for_status().json()
            self.receipts.trust("endpoint", made["secret"])

    # What talks to it

    def client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.apis[0], headers=headers, timeout=15, trust_env=False)

    def database(self) -> psycopg.Connection[Any]:
        """A connection of the tests' own, as the product's role; waited for while the database is
        away."""
        url = str(self.up.line["database_url"])
        return wait_until(lambda: self._connected(url), PATIENCE_S, "the database to answer", 0.1)

    def superuser(self) -> psycopg.Connection[Any]:
        """The same as the server's superuser, for what breaks the server."""
        url = superuser_url(self.up.home)
        return wait_until(lambda: self._connected(url), PATIENCE_S, "the database to answer", 0.1)

    def _connected(self, url: str) -> psycopg.Connection[Any] | None:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            return None

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement reads, asked again while the database is away.

        The connection is kept, because the password of a new one takes 10 ms of processor time.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self._reader is None:
                    self._reader = self.database()
                    self._reader.prepare_threshold = None  # a migration changes what a plan reads
                return self._reader.execute(statement, parameters).fetchall()
            except psycopg.OperationalError:
                self._forget_reader()
                if time.monotonic() > deadline:
                    raise

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(str(self.up.line["redis_url"]), socket_timeout=30)

    # What breaks it

    def pid(self, name: str) -> int:
        """A process's id, waited for while the supervisor starts it again."""

        def alive() -> int:
            found = self.up.pid_of(name)
            return found if found is not None and lives(found) else 0

        return wait_until(alive, PATIENCE_S, f"{name} to run")

    def signal(self, name: str, number: int) -> None:
        """Send one process a signal."""
        os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        """kill -9 of one process; returns when it is gone."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not lives(pid), PATIENCE_S, f"{name} to be gone")

    def busy(self, worker: str) -> None:
        """Wait until the worker of that name has begun a call and is in the middle of it."""
        ((now,),) = self.rows("SELECT clock_timestamp()")
        wait_until(
            lambda: self.rows(
                "SELECT 1 FROM calls c JOIN attempts a ON (a.job_id, a.number) ="
                " (c.job_id, c.attempt) JOIN jobs j ON j.id = a.job_id AND j.attempts = a.number"
                " WHERE c.settled_at IS NULL AND a.verdict IS NULL AND j.status = 'in_progress'"
                " AND a.worker = %s AND a.started_at > %s LIMIT 1",
                worker,
                now,
            ),
            PATIENCE_S,
            f"{worker} to be in a call",
            ROWS_EVERY_S,
        )

    def wait_ready(self) -> None:
        """Return when the API says that it is ready."""
        wait_until(lambda: answers(f"{self.apis[0]}/readyz"), PATIENCE_S, "the API to be ready")

    def failures(self) -> list[str]:
        """The processes that ended by themselves with an error, as the supervisor said it."""
        return re.findall(r"^(\w+ ended with exit code [1-9]\d*)", self.up.stderr(), re.M)

    @contextlib.contextmanager
    def frozen(self, pid: int) -> Iterator[None]:
        """The process stands still inside the block."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def last(self, seconds: float) -> None:
        """Let an outage last: not a wait for anything, but its length."""
        self._never.wait(seconds)

    @contextlib.contextmanager
    def process(
        self, *arguments: str, root: Path = ROOT, **more: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """One more process of the product beside those of `up`, by the words of a Procfile line.

        `root`: the checkout of the release that it is of. `more`: of its environment.
        """
        with self.processes([arguments], root=root, **more) as (child,):
            yield child

    @contextlib.contextmanager
    def processes(
        self, commands: Iterable[Sequence[str]], *, root: Path = ROOT, **more: str
    ) -> Iterator["list[subprocess.Popen[bytes]]"]:
        """Several of them, which end at the same time."""
        urls = {name: str(self.up.line[name.lower()]) for name in ("DATABASE_URL", "REDIS_URL")}
        env = environment({**self._env, **urls, **python_path(root), **more})
        with processes(commands, env, root=root) as children:
            try:
                yield children
            except BaseException as error:
                for child in children:
                    if child.poll() is not None:
                        error.add_note(f"{child.args!r} had ended with {child.returncode}")
                raise
            for child in children:
                ended = child.poll()
                assert ended in {None, -signal.SIGKILL}, f"{child.args!r} ended with {ended}"

    def backfill(
        self, source: Path, feature: str, out: Path, account: str
    ) -> "contextlib.AbstractContextManager[subprocess.Popen[bytes]]":
        """`tierline backfill` of a file, as an account that knows the address of the API."""
        tierline = ("-c", "from tierline.cli.main import main; main()")
        words = (*tierline, "backfill", str(source), "--feature", feature)
        known = {"TIERLINE_URL": self.apis[0], "TIERLINE_API_KEY": self.keys[account]}
        return process((*words, "--out", str(out)), environment(known))

    @contextlib.contextmanager
    def second_api(self, root: Path = ROOT, **more: str) -> Iterator[None]:
        """One more API, which callers use as well inside the block."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with self.process("-m", "api", "--port", str(port), root=root, **more):
            wait_until(lambda: answers(f"{url}/healthz"), PATIENCE_S, "the second API", 0.1)
            self.apis.append(url)
            try:
                yield
            finally:
                self.apis.remove(url)

    @property
    def postgres_socket(self) -> Path:
        return open_home(self.home).sockets / f".s.PGSQL.{postgres.PORT}"

    @property
    def broker_socket(self) -> Path:
        return valkey.socket_path(open_home(self.home))

    def postgres_pids(self) -> list[int]:
        """The postmaster and all of its processes."""
        first = psutil.Process(self.pid("postgres"))
        return [first.pid, *(each.pid for each in first.children(recursive=True))]
