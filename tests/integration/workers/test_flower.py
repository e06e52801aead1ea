"""What a person can see in Flower, and what nobody can."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from flower import urls

from tests.support.processes.flower import tasks
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.embedded import valkey
from tierline.stack.embedded.servers import Servers
from tierline.stack.ports import free_port

AUTH = ("tester", "open-sesame")


@pytest.fixture(scope="module")
def flower(stack: Servers) -> Iterator[httpx.Client]:
    """Flower over a worker that has run one task well and one badly."""
    port = free_port()
    environment = {**os.environ, "REDIS_URL": valkey.url(stack.home), "FLOWER_PORT": str(port)}
    module = [sys.executable, "-m", "tests.support.processes.small_celery"]
    page = subprocess.Popen([*module, "flower"], env=environment)
    worker = subprocess.Popen([*module, "worker"], env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=AUTH) as client:
            wait_until(lambda: answers(client), DEADLINE_S, "Flower to answer")
            wait_until(
                lambda: "slm@here" in client.get("/workers?json=1").text, DEADLINE_S, "the worker"
            )
            send = "from tests.support.processes import small_celery as s; "
            send += "s.answer.delay('job-1'); s.deliver.apply_async(['d-1'], queue='webhooks')"
            subprocess.run(
                [sys.executable, "-c", send], env=environment, check=True, timeout=DEADLINE_S
            )
            wait_until(
                lambda: states(client) == {"SUCCESS", "FAILURE"}, DEADLINE_S, "both tasks to end"
            )
            yield client
    finally:
        for process in (worker, page):
            process.kill()
            process.wait()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthcheck").status_code == 200
    except httpx.HTTPError:
        return False


def states(client: httpx.Client) -> set[object]:
    return {task["state"] for task in tasks(client)}


def routes() -> list[str]:
    """A path of each of Flower's routes but its files and its farewell, which shows nothing."""
    handlers = [one if isinstance(one, tuple) else (one.regex.pattern,) for one in urls.handlers]
    patterns = [str(one[0]).removesuffix("$").removesuffix("/?") for one in handlers]
    paths = [re.sub(r"\(\.[+*]\)", "x", one) for one in patterns if "static" not in one]
    paths = [path if path.startswith("/") else "/no-such-page" for path in paths]
    return sorted({*paths} - {"/logout"})


def test_nothing_is_shown_without_the_password(flower: httpx.Client) -> None:
    assert {"/", "/metrics", "/healthcheck", "/api/tasks", "/task/x"} <= set(routes())
    for path in routes():
        for auth in (None, (AUTH[0], "wrong")):
            response = httpx.get(f"{flower.base_url}{path}", auth=auth)
            # 405: Flower's control routes take POST only, which the last test here tries
            assert response.status_code in (401, 404, 405), (path, response.status_code)
            assert "slm@here" not in response.text, path
    for path in ("/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck", "/api/tasks"):
        assert httpx.get(f"{flower.base_url}{path}").status_code == 401, path


def test_its_numbers_are_there_with_the_password(flower: httpx.Client) -> None:
    assert "flower_events_total" in flower.get("/metrics").text
    assert flower.get("/healthcheck").text == "OK"


def test_the_broker_page_lists_the_queues(flower: httpx.Client) -> None:
    page = flower.get("/broker").text
    assert ">slm<" in page.replace(" ", "").replace("\n", "")
    assert ">webhooks<" in page.replace(" ", "").replace("\n", "")


def test_the_task_list_shows_the_queue_of_each_task(flower: httpx.Client) -> None:
    queues = {task["name"]: task["routing_key"] for task in tasks(flower)}
    assert queues == {"answer a job": "slm", "deliver a webhook": "webhooks"}


def test_no_page_shows_a_result_an_exception_or_the_broker_password(
    flower: httpx.Client, stack: Servers
) -> None:
    worker = wait_until(
        lambda: flower.get("/api/workers", params={"refresh": "1"}).text, DEADLINE_S, "the workers"
    )
    pages = [flower.get(path).text for path in ("/", "/workers", "/tasks", "/broker")]
    pages += [worker, flower.get("/worker/slm@here").text, flower.get("/api/tasks").text]
    pages += [json.dumps(tasks(flower)), flower.get("/metrics").text]
    for task in tasks(flower):
        pages.append(flower.get(f"/task/{task['uuid']}").text)
        pages.append(flower.get(f"/api/task/info/{task['uuid']}").text)
    assert "slm@here" in worker
    for page in pages:
        assert "the-secret" not in page
        assert stack.home.secret("valkey") not in page


def test_nothing_can_be_done_from_flower(flower: httpx.Client) -> None:
    task = tasks(flower)[0]["uuid"]
    for path in (f"/api/task/revoke/{task}", "/api/worker/shutdown/slm@here"):
        assert flower.post(path).status_code in (401, 403), path
