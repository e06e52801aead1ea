"""Bodies of a megabyte in which all is wrong: the answers are short, and nobody waits for them."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from api.http.problems import MOST_BYTES
from tests.support.api.served import Api

MB = 1024 * 1024
UNKNOWN = {f"unknown field {place:05}": 1 for place in range(MB // 30)}
DOORS: dict[str, tuple[str, Any]] = {
    "a job": ("/v1/jobs", {"feature": "echo", "input": {"text": "x"}, **UNKNOWN}),
    "a job's input": (
        "/v1/jobs",
        {"feature": "echo", "input": {"text": 5, **UNKNOWN, "x" * 1_000: 1}},
    ),
    "a job with a long name": ("/v1/jobs", {"\x01é" * (MB // 16): 1}),
    "a job of a long feature": ("/v1/jobs", {"feature": "f" * (MB - 100), "input": {}}),
    "a job with a long address": (
        "/v1/jobs",
        {"feature": "echo", "input": {}, "webhook_url": "https://" + "é." * (MB // 4)},
    ),
    "a batch": ("/v1/batches", {"feature": "echo", **UNKNOWN}),
    "feedback": ("/v1/feedback", {"items": [{}] * (MB // 4), **UNKNOWN}),
    "an endpoint": ("/v1/webhook-endpoints", {"url": "x" * (MB // 2)}),
    "an endpoint's events": (
        "/v1/webhook-endpoints",
        {"url": "https://hooks.invalid/", "events": ["x" * 20] * (MB // 26)},
    ),
    "a key": ("/v1/keys", {"scopes": ["x" * 100] * (MB // 110), **UNKNOWN}),
    "a budget": ("/v1/budgets", {**UNKNOWN}),
    "a price": ("/v1/prices", {**UNKNOWN}),
    "a feature": ("/v1/features", "".join(f"k{place}: 1\n" for place in range(4_000))),
    "a draft": ("/v1/drafts", "feature: x\n" + "".join(f"k{n}: [\n" for n in range(2_000))),
}


@pytest.mark.parametrize("door", DOORS)
def test_an_answer_is_short_and_the_loop_is_not_held(api: Api, door: str) -> None:
    path, sent = DOORS[door]
    if isinstance(sent, str):
        options: dict[str, Any] = {"content": sent, "headers": {"Content-Type": "application/yaml"}}
    else:
        body = json.dumps(sent, ensure_ascii=False).encode()
        options = {"content": body, "headers": {"Content-Type": "application/json"}}
    taken = []
    for _ in range(3):  # the machine's other work shows in one try, ours in each
        spent = _loop()
        begun = spent()
        response = api.post(path, **options)
        taken.append(spent() - begun)
        if taken[-1] < 0.25:
            break
    assert response.status_code in (413, 422), response.text[:500]
    assert len(response.content) <= MOST_BYTES
    assert len(response.json().get("errors", [])) <= 20
    assert min(taken) < 0.25


def test_how_many_more_there_are_is_told(api: Api) -> None:
    path, sent = DOORS["a job"]
    problem = api.post(path, json=sent).json()
    assert len(problem["errors"]) == 20
    assert problem["errors_left_out"] == len(UNKNOWN) - 20
    assert f"and {len(UNKNOWN) - 20:,} more" in problem["detail"]


def _loop() -> Callable[[], float]:
    """The processor time of the threads that run an API's event loop, in seconds."""
    of_thread = getattr(time, "pthread_getcpuclockid", None)
    if of_thread is None:
        pytest.skip("this system does not tell what a thread took")
    clocks = [
        of_thread(one.ident) for one in threading.enumerate() if one.name == "api" and one.ident
    ]
    return lambda: sum(map(time.clock_gettime, clocks))
