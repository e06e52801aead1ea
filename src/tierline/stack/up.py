"""What `tierline up` does: servers, migrations, keys, processes, and the stop of all of them.

It only decides the order: servers.py starts the databases, supervisor.py keeps processes running,
ready.py checks whether they answer. The caller prints the messages.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tierline.rules import queues
from tierline.rules.scheduling import KEPT_FREE_LEAST
from tierline.stack import ready, running
from tierline.stack.embedded import postgres, valkey
from tierline.stack.embedded.servers import Servers, end_left_overs, remove_sockets
from tierline.stack.home import Home, HomeLock, open_home, write_private
from tierline.stack.local_models import local_servers
from tierline.stack.local_models.local_servers import LocalServer
from tierline.stack.local_models.models import LARGER, SMOLLM2
from tierline.stack.ports import HOST, choose
from tierline.stack.processes import procfile
from tierline.stack.processes.child import Child, Program
from tierline.stack.processes.environment import of_process
from tierline.stack.processes.logs import LogPump
from tierline.stack.processes.supervisor import Stopping, Supervisor
from tierline.stack.running import Addresses

if TYPE_CHECKING:
    from tierline.stack.run_keys import Keys

READY_S = 90.0  # until everything answers, on a slow and busy machine
GIVE_BACK_S = 5.0  # beyond the grace period: for a worker's last transaction and exit
STOP_S = 30.0  # enough for a checkpoint on a slow disk
FAILED_STARTS = 3  # after so many ends of one process during the start, `up` gives up
LOOK_FOR_MODELS_S = 2.0  # how often features are checked for local models
FLOWER_USER = "tierline"
THREADS_VARIABLE = "TIERLINE_WORKER_THREADS"
LIKELY_MODEL = {queues.SLM: SMOLLM2, queues.DEEPER: LARGER}  # by the worker's name


@dataclass(frozen=True)
class Options:
    """The options of one run, from the command line."""

    home: Path
    port: int = 8000  # 0: a free one
    flower_port: int = 5555  # 0: a free one
    with_flower: bool = True
    procfile: Path = field(default_factory=procfile.default_path)
    grace_s: float = 20.0  # how long running calls may continue after the first Ctrl-C


class Up:
    """One run of the product on one home. `say` gets one line for each step."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.first_admin_key: str | None = None  # set if this run made the database
        self._say = say
        self._supervisor = Supervisor(say)
        self._entries = procfile.parse(options.procfile.read_text(), options.procfile.name)
        if not options.with_flower:
            self._entries = [entry for entry in self._entries if entry.name != "flower"]
        self._processes: list[Child] = []
        self._models: list[LocalServer] = []  # those that can run here
        self._model_children: dict[str, Child] = {}
        self._next_look = 0.0

    def run(self, on_ready: Callable[[Addresses], None]) -> int:
        """Start everything, call `on_ready` once, and run until a stop. Returns the exit code."""
        home = open_home(self.options.home)
        lock = HomeLock(home)
        lock.acquire()
        pump = LogPump()
        try:
            self._supervisor.listen()
            for name in end_left_overs(home):
                self._say(f"ended {name}, which was left from an earlier run")
            running.withdraw(home.run)
            self._run_on(home, pump, on_ready)
        finally:
            pump.close()
            running.withdraw(home.run)
            remove_sockets(home)
            lock.release()
        return 130 if self._supervisor.at_once else 0

    def _run_on(self, home: Home, pump: LogPump, on_ready: Callable[[Addresses], None]) -> None:
        port = choose(self.options.port, "--port")
        flower_port = choose(self.options.flower_port, "--flower-port")
        servers = Servers(
            home,
            pump,
            with_postgres=not os.environ.get("DATABASE_URL"),
            with_valkey=not os.environ.get("REDIS_URL"),
        )
        keys: Keys | None = None
        try:
            database_url = os.environ.get("DATABASE_URL") or postgres.url(home)
            redis_url = os.environ.get("REDIS_URL") or valkey.url(home)
            environment = {
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "PORT": str(port),
                "FLOWER_PORT": str(flower_port),
                "TIERLINE_FLOWER_USER": FLOWER_USER,
                "TIERLINE_FLOWER_PASSWORD": home.secret("flower"),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
                "PYTHONUNBUFFERED": "1",
                **self._plan_models(home),
            }
            self._start_models({"smollm2-135m"}, home, pump)
            if servers.children():
                names = [child.name for child in reversed(servers.children())]
                self._say(f"starting {' and '.join(names)}")
            servers.begin()
            # Importing this is slow; the servers start meanwhile.
            from tierline.stack.run_keys import RunKeys
            from tierline.storage.db import revisions

            servers.start(self._supervisor.check)
            for child in servers.children():
                self._supervisor.keep(child, started=True)
            if revisions.current(database_url) != revisions.head():
                from tierline.stack.upgrade import upgrade

                self._say("preparing the database")
                for words in upgrade(database_url, self._say).notes():
                    self._say(words)
            self._supervisor.check()
            keys = RunKeys(database_url, home.tag).make()
            self.first_admin_key = keys.first_admin
            write_private(home.run / "api_key", keys.run + "\n")
            self._look_for_models(database_url, home, pump)
            workers = ready.Workers(database_url)
            self._say(f"starting {', '.join(entry.name for entry in self._entries)}")
            self._start_processes(environment, home, pump)
            self._say("waiting until all of them answer")
            addresses = Addresses(
                api=f"http://{HOST}:{port}",
                flower=f"http://{HOST}:{flower_port}" if self._has("flower") else None,
                api_key=keys.run,
                flower_user=FLOWER_USER if self._has("flower") else None,
                flower_password=home.secret("flower") if self._has("flower") else None,
                database_url=database_url,
                redis_url=redis_url,
            )
            self._wait_ready(port, flower_port, home, workers)
            workers.close()
            running.announce(home.run, addresses)
            on_ready(addresses)
            self._stay(database_url, home, pump)
        except Stopping:
            pass
        finally:
            self._stop(servers, keys)

    def _stay(self, database_url: str, home: Home, pump: LogPump) -> None:
        while not self._supervisor.stopping:
            self._supervisor.tend()
            if len(self._model_children) < len(self._models):
                self._look_for_models(database_url, home, pump)
            self._supervisor.pause()

    def _stop(self, servers: Servers, keys: "Keys | None") -> None:
        flower = [child for child in self._processes if child.name == "flower"]
        others = [child for child in self._processes if child.name != "flower"]
        models = list(self._model_children.values())
        # At the end of the grace period a worker gives its jobs back, so it must not be killed
        # earlier.
        self._supervisor.stop([others, flower, models], self.options.grace_s + GIVE_BACK_S)
        if keys is not None and not self._supervisor.at_once:
            keys.revoke()
        self._supervisor.stop([[child] for child in servers.children()], STOP_S)

    def _plan_models(self, home: Home) -> Mapping[str, str]:
        """Choose ports for every local model with a file here, so that it can be started later."""
        if os.environ.get("TIERLINE_LOCAL_URL"):
            return {}
        key = home.secret("local_models")
        planned, _ = local_servers.plan({"smollm2-135m", "qwen2.5-coder-1.5b"}, key)
        self._models = planned
        return local_servers.environment(planned, key)

    def _start_models(self, names: set[str], home: Home, pump: LogPump) -> None:
        for server in self._models:
            if server.model.name in names and server.name not in self._model_children:
                child = Child(server.program(), home, pump)
                self._model_children[server.name] = child
                self._supervisor.keep(child)

    def _look_for_models(self, database_url: str, home: Home, pump: LogPump) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_FOR_MODELS_S
        self._start_models(local_servers.named_by_features(database_url), home, pump)

    def _start_processes(self, environment: Mapping[str, str], home: Home, pump: LogPump) -> None:
        words = {**os.environ, **environment}
        for entry in self._entries:
            argv = entry.argv(words)
            if argv[0] in ("python", "python3"):
                argv[0] = sys.executable
            env = of_process(argv, {**words, **self._threads_of(entry)})
            program = Program(entry.name, argv, env=env, cwd=home.path)
            child = Child(program, home, pump)
            self._processes.append(child)
            self._supervisor.keep(child)

    def _threads_of(self, entry: procfile.Entry) -> Mapping[str, str]:
        """Fewer threads for a worker whose tier probably uses a local model on this machine.

        More parallel jobs than the model decodes would only wait inside it, and their calls'
        timeouts run meanwhile: with twice as many, and a second model on the same two cores, most
        calls timed out. There are that many threads for one account, plus those that a single
        account may not hold. A number that the user sets is used as it is.
        """
        if THREADS_VARIABLE in os.environ:
            return {}
        model = LIKELY_MODEL.get(ready.worker_name(entry) or "")
        if model is None or all(server.model is not model for server in self._models):
            return {}
        return {THREADS_VARIABLE: str(model.slots + KEPT_FREE_LEAST)}

    def _wait_ready(self, port: int, flower_port: int, home: Home, workers: ready.Workers) -> None:
        checks: dict[str, ready.Check] = {}
        for server in self._models:
            if server.name in self._model_children:
                checks[server.name] = _http_check(server.port, "/health")
        if self._has("api"):
            checks["api"] = _http_check(port, "/readyz")
        if self._has("flower"):
            password = home.secret("flower")
            checks["flower"] = lambda: ready.flower_answers(flower_port, FLOWER_USER, password)
        for entry in self._entries:
            beat_name = ready.worker_name(entry)
            if beat_name is not None:
                checks[entry.name] = _worker_check(workers, beat_name)
        ready.wait_for(checks, READY_S, self._between)

    def _between(self) -> None:
        self._supervisor.check()
        self._supervisor.tend()
        for entry in self._supervisor.supervised.values():
            if entry.starts >= FAILED_STARTS and entry.due_at is not None:
                raise entry.child.failed("keeps ending while it starts")
        self._supervisor.pause(0.05)

    def _has(self, name: str) -> bool:
        return any(entry.name == name for entry in self._entries)


def _http_check(port: int, path: str) -> ready.Check:
    return lambda: ready.http_answers(port, path)


def _worker_check(workers: ready.Workers, name: str) -> ready.Check:
    return lambda: workers.started(name)
