"""A worker process and a broker in trouble."""

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import redis

from tests.support.processes.started import process
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.base.settings import settings


@pytest.mark.usefixtures("environment")
def test_a_worker_that_starts_while_the_broker_has_no_room_waits_for_some(tmp_path: Path) -> None:
    from workers.app import create_app
    from workers.hints import publish

    log = tmp_path / "log"
    with redis.Redis.from_url(settings().broker) as broker, log.open("w") as sink:
        broker.config_set("maxmemory", 1)
        try:
            worker = subprocess.Popen(
                [sys.executable, "-m", "workers", "--queues", "slm", "--name", "slm"],
                env={**os.environ, "TIERLINE_WORKER_THREADS": "1"},
                stdout=sink,
                stderr=sink,
            )
            wait_until(
                lambda: "maxmemory" in log.read_text() or worker.poll() is not None,
                DEADLINE_S,
                "the broker to refuse the worker",
            )
        finally:
            broker.config_set("maxmemory", 0)
        try:
            publish(create_app(), [("slm", (str(new_id()),))])
            wait_until(
                lambda: broker.llen("slm") == 0 or worker.poll() is not None,
                DEADLINE_S,
                "the worker to take a hint",
            )
            assert worker.poll() is None, log.read_text()
        finally:
            worker.terminate()
            assert worker.wait(DEADLINE_S) == 0


STARTS = """
import os, sys, threading
from celery import signals
from workers.__main__ import main

environment = type(os.environ)
set_variable = environment.__setitem__

def set_alone(variables, name, value):
    if threading.active_count() > 1:
        os.write(2, f"{name} is set beside other threads".encode())
        os._exit(1)
    set_variable(variables, name, value)

environment.__setitem__ = set_alone
signals.worker_ready.connect(lambda **_: os._exit(0), weak=False)
sys.argv = ["workers", "--queues", "slm", "--name", "alone", "--threads", "1"]
main()
"""


@pytest.mark.usefixtures("environment")
def test_no_variable_is_set_while_other_threads_may_read_one() -> None:
    """libpq reads variables on each new connection, which may crash the process meanwhile."""
    ended = subprocess.run(
        [sys.executable, "-c", STARTS], capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.usefixtures("environment")
def test_celery_and_its_events_see_what_a_worker_does() -> None:
    from workers.app import create_app
    from workers.hints import publish

    app = create_app()
    events: list[dict[str, object]] = []
    with redis.Redis.from_url(settings().broker) as broker:
        broker.flushdb()
    arguments = [
        "-m",
        "workers",
        "--queues",
        "slm,slm-backfill",
        "--name",
        "seen",
        "--threads",
        "2",
    ]
    with app.connection() as connection, process(arguments, dict(os.environ)) as worker:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        listening.start()
        try:
            wait_until(lambda: events, DEADLINE_S, "the worker's first event")
            inspect = app.control.inspect(timeout=2.0)
            (listed,) = wait_until(
                inspect.active_queues, DEADLINE_S, "the worker to answer"
            ).values()
            assert {queue["name"] for queue in listed} == {"slm", "slm-backfill"}

            publish(app, [("slm", (str(new_id()),)) for _ in range(5)])  # no such jobs
            wait_until(
                lambda: sum(event["type"] == "task-succeeded" for event in events) == 5,
                DEADLINE_S,
                "the events of five tasks",
            )
            (stats,) = wait_until(inspect.stats, DEADLINE_S, "the counts").values()
            assert stats["total"] == {"slm.answer": 5}
            (running,) = wait_until(inspect.active, DEADLINE_S, "what runs").values()
            assert running == []
            worker.terminate()
            assert worker.wait(DEADLINE_S) == 0
        finally:
            receiver.should_stop = True
            listening.join(DEADLINE_S)
    kinds = Counter(str(event["type"]) for event in events)
    for kind in ("task-received", "task-started", "task-succeeded"):
        assert kinds[kind] == 5, kinds
