"""A worker process and a broker in trouble."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.support.waiting import wait_until
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
                60,
                "the broker to refuse the worker",
            )
        finally:
            broker.config_set("maxmemory", 0)
        try:
            publish(create_app(), [("slm", (str(new_id()),))])
            wait_until(
                lambda: broker.llen("slm") == 0 or worker.poll() is not None,
                60,
                "the worker to take a hint",
            )
            assert worker.poll() is None, log.read_text()
        finally:
            worker.terminate()
            assert worker.wait(30) == 0
