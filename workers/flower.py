"""Flower, the web page for the queues' messages and tasks, as a process: `python -m
workers.flower`.

It listens on loopback only, needs a password, and is read-only: revoking a message would cancel no
job. Flower itself leaves /metrics and /healthcheck open. Here they need the password too; only the
static files do not. It shows which task ran where and for how long, never its arguments, its result
or an error text. The backlog is in Postgres and not shown here; `tierline queues` shows it.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

import celery
import tornado.web
from flower import urls
from flower.app import Flower
from flower.events import Events
from flower.inspector import Inspector
from flower.options import options
from flower.urls import settings as handler_settings
from flower.views import monitor

from tierline.base import lean_start

COLUMNS = "name,uuid,state,routing_key,received,started,runtime,worker"
MAX_TASKS = 5_000  # kept in memory, about 5 kB each
CONNECTIONS = 64
"""Its threads ask the workers at the same time, and each holds one connection while it waits for a
second. With the small pool of a worker process they all waited for each other, and nothing was
shown."""
INSPECT_TIMEOUT_MS = 1_000.0  # a worker whose threads are all busy answers in this time
# fields of a task event that may contain content
HIDDEN = ("kwargs", "result", "exception", "traceback")


class QuietEvents(Events):  # type: ignore[misc]
    """Task events without the fields that may contain content."""

    def on_event(self, event: dict[str, Any]) -> None:
        for name in HIDDEN:
            if name in event:
                event[name] = ""
        super().on_event(event)


class QuietInspector(Inspector):  # type: ignore[misc]
    """The workers' information about themselves, without the broker's password."""

    secret = ""

    def _on_update(self, workername: str, method: str, response: object) -> None:
        super()._on_update(workername, method, without(response, self.secret))


class Metrics(monitor.Metrics):  # type: ignore[misc]
    """Flower's metrics, which name every worker and task, protected by the password."""

    @tornado.web.authenticated
    async def get(self) -> None:
        await super().get()


class Healthcheck(monitor.Healthcheck):  # type: ignore[misc]
    """Whether Flower answers, protected by the password."""

    @tornado.web.authenticated
    async def get(self) -> None:
        await super().get()


LOCKED = {monitor.Metrics: Metrics, monitor.Healthcheck: Healthcheck}


def without(value: object, secret: str) -> Any:
    """The same value with every occurrence of the secret replaced."""
    if isinstance(value, str):
        return value.replace(secret, "***") if secret else value
    if isinstance(value, dict):
        return {key: without(item, secret) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without(item, secret) for item in value]
    return value


def build(app: celery.Celery, port: int, user: str, password: str, prefix: str = "") -> Flower:
    """Flower for an app, ready to start. `prefix` is its path behind a proxy."""
    app.conf.broker_pool_limit = CONNECTIONS
    options.port = port
    options.address = os.environ.get("TIERLINE_FLOWER_HOST", "127.0.0.1")
    options.basic_auth = [f"{user}:{password}"]
    options.tasks_columns = COLUMNS
    options.inspect_timeout = INSPECT_TIMEOUT_MS
    options.max_tasks = MAX_TASKS
    options.purge_offline_workers = 600
    options.read_only = True
    if prefix:
        options.url_prefix = prefix.strip("/")
        for name in ("login_url", "static_url_prefix"):
            handler_settings[name] = f"/{options.url_prefix}{handler_settings[name]}"
    urls.handlers[:] = [_locked(handler) for handler in urls.handlers]
    # Showing events does not need the tasks' defaults, and a debug page would show the settings.
    handler_settings["debug"] = False
    handler_settings["cookie_secret"] = options.cookie_secret
    flower = Flower(capp=app, options=options, **handler_settings)
    flower.events = QuietEvents(
        app,
        io_loop=flower.io_loop,
        enable_events=True,
        max_workers_in_memory=options.max_workers,
        max_tasks_in_memory=options.max_tasks,
    )
    broker = urlsplit(str(app.conf.broker_url or ""))
    flower.inspector = QuietInspector(flower.io_loop, app, INSPECT_TIMEOUT_MS / 1000)
    flower.inspector.secret = unquote(broker.password or "")
    return flower


def _locked(handler: Any) -> Any:
    """A Flower route, unchanged or with the handler that requires the password."""
    if isinstance(handler, tuple) and handler[1] in LOCKED:
        return (handler[0], LOCKED[handler[1]], *handler[2:])
    return handler


def main() -> int:
    user = os.environ.get("TIERLINE_FLOWER_USER", "tierline")
    password = os.environ.get("TIERLINE_FLOWER_PASSWORD", "")
    port = os.environ.get("FLOWER_PORT", "5555")
    if not password:
        print(
            "TIERLINE_FLOWER_PASSWORD is not set: Flower does not start without a password",
            file=sys.stderr,
        )
        return 2
    if not (port.isascii() and port.isdigit()):
        print(f"FLOWER_PORT={port} is not a port number", file=sys.stderr)
        return 2

    from workers.app import create_app

    app = create_app(tasks=())
    flower = build(app, int(port), user, password, os.environ.get("TIERLINE_FLOWER_PREFIX", ""))

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Its threads block in the broker's socket and would delay the exit; there is nothing to
        # save.
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    lean_start.finish()
    bound = flower.start_http_server()
    print(f"Flower answers at http://{options.address}:{bound}/", flush=True)
    flower.start()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
