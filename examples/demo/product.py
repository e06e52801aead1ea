"""The product as the demo runs it: `tierline up` in a home, and questions to its API.

`up` runs as a process of its own and is started again should it die, on the same home; the jobs are
in Postgres there. Whoever asks the API meanwhile waits until it answers again.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tierline.stack.processes.child import guarded

TIERLINE = (sys.executable, "-m", "tierline")
READY_S = 120.0  # for `up` to answer, a first initdb on a slow machine included
MODEL_S = 60.0  # for a larger local model to be read from the disk
STOP_S = 60.0  # for `up` to stop in order; it ends what hangs by itself before that
ANSWER_S = 120.0  # for the API to answer again after one of its processes was lost
RESTARTS = 5  # of `up` itself; more is not bad luck

# What the person who runs the demo has set for other work must not decide where its jobs go.
_NOT_FOR_THE_DEMO = (
    *("DATABASE_URL", "REDIS_URL", "TIERLINE_URL", "TIERLINE_API_KEY", "TIERLINE_HOME"),
    *("TIERLINE_LOCAL_URL", "TIERLINE_LOCAL_API_KEY", "TIERLINE_WEBHOOK_ALLOW"),
)
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")


class ProductFailed(Exception):
    """`up` did not come, or does not answer any more; the message is for the person."""


def environment(
    frontier: str | None, stand_in: bool = False, local_url: str | None = None
) -> dict[str, str]:
    """What the demo's processes see; a provider's key only where FRONTIER names that provider.

    `local_url`: a server that answers for the local models, which `up` then does not start.
    """
    left_out = set(_NOT_FOR_THE_DEMO)
    provider = (frontier or "").partition(":")[0].upper()
    left_out |= {name for name in _KEYS if not provider or not name.startswith(provider)}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    if stand_in:  # both tiers share the one small model, which decodes four answers at once
        kept.setdefault("TIERLINE_WORKER_THREADS", "4")
    if local_url is not None:
        kept["TIERLINE_LOCAL_URL"] = local_url
    # The demo's receiver listens on loopback, which webhooks do not go to unless they may.
    return kept | {"TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8", "PYTHONUNBUFFERED": "1"}


def bound(argv: list[str], death_signal: int = signal.SIGTERM) -> list[str]:
    """`argv` so that it gets a signal should the demo be killed: nothing stays behind."""
    if not sys.platform.startswith("linux"):
        return argv
    return guarded(argv, death_signal)


class Product:
    """A running `up`. `start`, `tend` and `stop` belong to the main thread, which must not end
    before the children do: their death signal follows it."""

    def __init__(
        self,
        home: Path,
        env: Mapping[str, str],
        say: Callable[[str], None],
        *,
        with_flower: bool = True,
    ) -> None:
        self.home = home
        self.with_flower = with_flower
        self.env = dict(env)
        self.say = say
        self.addresses: dict[str, str] = {}
        self.restarts = 0
        self._process: subprocess.Popen[str] | None = None
        self._errors: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._http = httpx.Client(timeout=httpx.Timeout(45.0, connect=5.0), trust_env=False)
        self._stopped = threading.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start `up` and wait until it says where it is. Raises ProductFailed."""
        up = [*TIERLINE, "up", "--home", str(self.home), "--json"]
        up += ["--port", self._port("api")]
        up += ["--flower-port", self._port("flower")] if self.with_flower else ["--no-flower"]
        self._process = subprocess.Popen(
            bound(up),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
            text=True,
            start_new_session=True,  # Ctrl-C is the demo's to act on: it stops `up` in order
        )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        for stream, sink in (
            (self._process.stdout, lines.put),
            (self._process.stderr, self._errors.put),
        ):
            assert stream is not None
            threading.Thread(target=_read_lines, args=(stream, sink), daemon=True).start()
        try:
            line = lines.get(timeout=READY_S)
        except queue.Empty:
            line = ""
        self.pass_on()
        if not line:
            raise ProductFailed(f"'tierline up' did not come; see {self.home / 'log'}")
        self.addresses = json.loads(line)

    def wait_for_model(self, name: str) -> None:
        """Wait until `up` serves a local model, which it starts once a feature names it.

        Jobs would wait for it by themselves, by retries that would then stand in the figures.
        """
        note = self.home / "run" / f"model-{name}.pid.json"
        log = self.home / "log" / f"model-{name}.log"
        deadline = time.monotonic() + MODEL_S
        while time.monotonic() < deadline:
            self.tend()
            try:
                # Written to since this start, and by a server that serves.
                if log.stat().st_mtime >= note.stat().st_mtime and "serving" in log.read_text():
                    return
            except OSError:
                pass  # not started yet
            time.sleep(0.2)
        self.say(f"{name} is not served after {MODEL_S:.0f} s; going on")

    def tend(self) -> None:
        """Start `up` again if it died, and pass on what it says."""
        self.pass_on()
        if self._process is None or self._process.poll() is None:
            return
        self.restarts += 1
        if self.restarts > RESTARTS:
            raise ProductFailed(f"'tierline up' keeps ending; see {self.home / 'log'}")
        self.say(f"'tierline up' ended ({self._process.returncode}); starting it again")
        self.start()

    def pass_on(self) -> None:
        """Print what `up` wrote to stderr since the last call, without its first key."""
        while not self._errors.empty():
            line = self._errors.get()
            if line and not line.startswith(("first admin key", "tl_")):
                self.say(f"up: {line}")

    def stop(self) -> None:
        """Stop `up` in order. A KeyboardInterrupt meanwhile makes it stop at once."""
        self._stopped.set()
        process = self._process
        while process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except KeyboardInterrupt:
                continue  # the second signal makes `up` stop at once
            except subprocess.TimeoutExpired:
                process.kill()
        self._http.close()
        self.pass_on()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """One request, repeated while the API does not answer. Safe for what is sent here: reads,
        features, and jobs with an Idempotency-Key. Raises ProductFailed."""
        deadline = time.monotonic() + ANSWER_S
        why = ""
        while not self._stopped.is_set():
            try:
                response = self._http.request(
                    method,
                    self.addresses["api"] + path,
                    json=body,
                    content=content,
                    params=params,
                    headers={
                        "Authorization": f"Bearer {self.addresses['api_key']}",
                        **(headers or {}),
                    },
                )
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                # 401: `up` was started again a moment ago, and the run's key is another one.
                if response.status_code not in (401, 429, 500, 502, 503, 504):
                    return response
                why = f"HTTP {response.status_code}: {response.text[:300]}"
            if time.monotonic() > deadline:
                break
            self._stopped.wait(0.3)
        raise ProductFailed(f"{method} {path}: no answer from the API ({why})")

    def get(self, path: str, **params: Any) -> Any:
        """The JSON behind a path. Raises ProductFailed for anything but 200."""
        response = self.ask("GET", path, params=params)
        if response.status_code != 200:
            raise ProductFailed(f"GET {path}: HTTP {response.status_code}: {response.text[:300]}")
        return response.json()

    def _port(self, name: str) -> str:
        """0 at first; the same port again after a restart, so that links stay good."""
        url = self.addresses.get(name)
        return url.rpartition(":")[2].rstrip("/") if url else "0"


def _read_lines(stream: Any, sink: Callable[[Any], None]) -> None:
    for line in stream:
        sink(line.rstrip("\n"))
    sink("")  # the end: no line is empty otherwise that anybody waits for
