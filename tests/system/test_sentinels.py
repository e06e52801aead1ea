"""What nobody but its owner may see is seen nowhere else.

The whole product runs on inputs, outputs, keys, secrets and URLs that can be recognised; things go
wrong on the way, since errors are what quotes them. Then everything that others read is walked: the
logs, the metrics, Flower, the broker's keys, messages and file, problem bodies, command lines, the
environments of processes. A problem names the fields of what was sent, never their values.
"""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.fake_servers.webhook_receiver import Receiver, receiving, status
from tests.support.processes import flower
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.up import RunningUp, run_up
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.processes import environment

INPUT = "sentinel-of-an-input"
OUTPUT = "sentinel-of-an-output"
METADATA = "sentinel-of-metadata"
USER = "sentinel-of-a-user"
MODEL_KEY = "sk-sentinel-of-a-model-key"
URL_TOKEN = "sentinel-of-a-url-token"  # of a receiver: its owner sees it at the endpoint
URL_USER = "sentinel-of-a-url-password"  # refused where it comes
WRONG_KEY = "tl_" + "sentinel-of-a-wrong-key".ljust(43, "x")
CUSTOM_ID = "sentinel-of-a-custom-id"
OTHER = "sentinel-of-somebody-elses-secret"
OWN = {"TIERLINE_OPENAI_COMPATIBLE": "our-llm=http://127.0.0.1:9/v1"}
CALL_MODELS = {"slm", "deeper", "quarantine"}
ENDED = {"completed", "failed", "cancelled", "expired"}

FEATURE = """
feature: echo
instructions: Repeat the text.
input:
  type: object
  required: [text]
  properties: {text: {type: string, maxLength: 200}}
output:
  type: object
  required: [text]
  additionalProperties: false
  properties: {text: {type: string}}
checks:
  - grounded: [text]
  - rule: "output.text != 'rule' || input.missing > 0.0"
tiers:
  - {name: slm, models: ["openai:small"], max_tokens: 50, timeout_s: 5, reask: true}
  - {name: frontier, models: ["openai:large"], max_tokens: 50, timeout_s: 5}
"""


def answer(request: dict[str, Any]) -> Reply:
    """By the word that the input holds: good, or wrong in one of the ways of models and servers."""
    asked = str(request["messages"])
    small = request["model"] == "small"
    for word, reply in {
        "malformed": Reply(text=f"I think {OUTPUT}, since you said {INPUT}"),
        "names": Reply(text=json.dumps({"text": "x", f"{OUTPUT} {INPUT}": 1})),
        "ungrounded": Reply(text=json.dumps({"text": OUTPUT})),
        "rule": Reply(text='{"text": "rule"}'),
        "refused": Reply(text=OUTPUT, refusal=f"{OUTPUT} {INPUT}"),
        "echoing error": Reply(status=400, text=f"cannot read {INPUT} with {MODEL_KEY}"),
        "not json": Reply(raw=f"<html>{INPUT} {OUTPUT} {MODEL_KEY}".encode()),
        "unfit": Reply(raw=json.dumps({"choices": [OUTPUT], "model": INPUT}).encode()),
        "cut": Reply(text=OUTPUT, cut=True),
    }.items():
        if f"do {word} always" in asked or (small and f"do {word} first" in asked):
            return reply
    return Reply(text=json.dumps({"text": f"{OUTPUT} for {INPUT}"}))


@dataclass
class Scene:
    """The running product, its far ends, and what was told to callers on the way."""

    up: RunningUp
    api: httpx.Client
    models: ModelServer
    receiver: Receiver
    problems: list[bytes] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)  # what they are → the words

    def submit(self, text: str, **more: Any) -> str:
        body = {"feature": "echo", "input": {"text": f"{INPUT} {OUTPUT} for {INPUT}: {text}"}}
        answered = self.api.post("/v1/jobs", json={**body, **more})
        assert answered.status_code in (200, 202), answered.text
        return str(answered.json()["id"])

    def refused(self, method: str, path: str, **more: Any) -> httpx.Response:
        answered = self.api.request(method, path, **more)
        assert 400 <= answered.status_code < 500, answered.text
        self.problems.append(answered.content)
        return answered

    def ended(self, job_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            try:
                found = self.api.get(f"/v1/jobs/{job_id}")
            except httpx.HTTPError:
                return None
            body: dict[str, Any] = found.json()
            return body if found.is_success and body["status"] in ENDED else None

        return wait_until(look, 90, f"job {job_id} to end", 0.1) or {}


class Monitor:
    """Every command that reaches the broker, as it says itself."""

    def __init__(self, url: str) -> None:
        self.seen: list[bytes] = []
        self._client = redis.Redis.from_url(url)
        self._connection = self._client.connection_pool.get_connection()
        self._connection.send_command("MONITOR")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while True:
                self.seen.append(bytes(self._connection.read_response()))
        except (redis.RedisError, OSError, ValueError, TypeError):
            return

    def close(self) -> None:
        self._connection.disconnect()
        self._thread.join(DEADLINE_S)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, make_home: MakeHome) -> Iterator[Scene]:
    home = make_home(tmp_path_factory.mktemp("sentinels") / "home")
    # Without the local model's, which `up` makes itself.
    keys = environment.secret_variables(OWN) - {"TIERLINE_LOCAL_API_KEY"}
    with ModelServer(answer) as models, receiving() as receiver:
        env = {
            **OWN,
            **dict.fromkeys(keys, MODEL_KEY),
            **dict.fromkeys(("GITHUB_TOKEN", "TIERLINE_WEBHOOK_SECRET"), OTHER),
            "AWS_SECRET_ACCESS_KEY": OTHER,
            "OPENAI_BASE_URL": models.url,
            "TIERLINE_WEBHOOK_ALLOW": "127.0.0.0/8",
            "TIERLINE_LEASE_S": "7",
            "TIERLINE_RETRIES": "1",
            "TIERLINE_RETRY_BASE_S": "0.1",
        }
        with run_up(home, env=env) as up:
            headers = {"Authorization": f"Bearer {up.line['api_key']}"}
            with httpx.Client(
                base_url=str(up.line["api"]), headers=headers, trust_env=False, timeout=DEADLINE_S
            ) as api:
                yield Scene(up, api, models, receiver)


@pytest.fixture(scope="module")
def walked(scene: Scene) -> dict[str, bytes]:
    """What others can read, by place, after much has happened."""
    monitor = Monitor(str(scene.up.line["redis_url"]))
    live(scene)
    places = {f"Flower {path}": page for path, page in flower_pages(scene).items()}
    places["the broker's messages"] = b"\n".join(monitor.seen)
    monitor.close()
    fall(scene)
    places |= broker_keys(scene)
    for path in sorted((scene.up.home / "valkey").rglob("*")):
        if path.is_file():
            places[f"the broker's file {path.name}"] = path.read_bytes()
    for path in sorted((scene.up.home / "log").iterdir()):
        places[f"log/{path.name}"] = path.read_bytes()
    # Right after an outage a pooled connection may still be a dead one: 503, try again.
    metrics = wait_until(
        lambda: one if (one := scene.api.get("/metrics")).is_success else None,
        DEADLINE_S,
        "the metrics",
    )
    places["/metrics"] = metrics.content
    places["what up says"] = scene.up.stderr().encode()
    places["/readyz"] = scene.api.get("/readyz").content
    places["problem bodies"] = b"\n".join(scene.problems)
    family = [psutil.Process(scene.up.process.pid), *scene.up.descendants()]
    places["command lines"] = "\n".join(" ".join(one.cmdline()) for one in family).encode()
    return places


def live(scene: Scene) -> None:
    """Jobs and webhooks of every kind, and requests that are refused for what they hold."""
    api = scene.api
    yaml = {"Content-Type": "application/yaml"}
    assert api.post("/v1/features", content=FEATURE, headers=yaml).status_code == 201
    made = api.post("/v1/keys", json={"name": "walk", "scopes": ["submit", "read"]}).json()
    rotated = api.post(f"/v1/keys/{made['id']}/rotate", json={}).json()
    hook = f"{scene.receiver.url}?token={URL_TOKEN}"
    endpoint = api.post("/v1/webhook-endpoints", json={"url": hook, "include": ["output"]}).json()
    secrets = json.loads((scene.up.home / "secrets.json").read_text())
    scene.secrets |= {f"password of {name}": value for name, value in secrets.items()}
    scene.secrets |= {
        "run's key": str(scene.up.line["api_key"]),
        "made key": made["key"],
        "rotated key": rotated["key"],
        "account's webhook secret": api.get("/v1/webhook-secret").json()["secret"],
        "endpoint's webhook secret": endpoint["secret"],
    }

    scene.receiver.manner = status(500, f"{INPUT} {URL_TOKEN}".encode(), x_inner=OUTPUT)
    words = ("malformed", "names", "ungrounded", "rule", "refused")
    servers = ("echoing error", "not json", "unfit", "cut")
    jobs = [scene.submit("do what is right", webhook_url=hook, metadata={"a": METADATA}, user=USER)]
    jobs += [scene.submit(f"do {word} first") for word in (*words, *servers)]
    jobs += [scene.submit(f"do {word} always") for word in (*words, *servers)]
    jobs.append(scene.submit("away", webhook_url=f"http://127.0.0.1:9/?token={URL_TOKEN}"))
    found = [scene.ended(job) for job in jobs]
    assert found[0]["output"] == {"text": f"{OUTPUT} for {INPUT}"}
    assert {one["status"] for one in found} == {"completed", "failed"}
    batch_of(scene)
    scene.receiver.manner = status(204)
    wait_until(lambda: len(scene.receiver.requests) > 3, DEADLINE_S, "webhooks to arrive")
    refusals(scene)


def batch_of(scene: Scene) -> None:
    batch = scene.api.post("/v1/batches", json={"feature": "echo", "metadata": {"a": METADATA}})
    path = f"/v1/batches/{batch.json()['id']}"
    rows: list[dict[str, Any]] = [
        {"custom_id": CUSTOM_ID, "input": {"text": f"{OUTPUT} for {INPUT}"}},
        {"input": {"text": INPUT * 20}},
        {"input": INPUT},
    ]
    body = "".join(json.dumps(row) + "\n" for row in rows) + f"{{{INPUT}\n"
    kind = {"Content-Type": "application/x-ndjson"}
    assert scene.api.put(f"{path}/parts/1", content=body, headers=kind).status_code == 201
    assert scene.api.post(f"{path}/seal", json={"parts": 1}).status_code == 200
    wait_until(
        lambda: scene.api.get(path).json()["status"] == "completed",
        DEADLINE_S,
        "the batch to complete",
        0.1,
    )
    scene.problems.append(scene.api.get(f"{path}/errors").content)


def refusals(scene: Scene) -> None:
    kind = {"Content-Type": "application/json"}
    job = {"feature": "echo", "input": {"text": INPUT}}
    for body in (
        {**job, "input": {"text": INPUT * 20}},
        {**job, "input": {"text": [INPUT]}},
        {**job, "input": INPUT},
        {**job, "metadata": METADATA},
        {**job, "deadline_s": INPUT},
        {**job, "webhook_url": f"http://{URL_USER}:{URL_USER}@hooks.example.com/{URL_TOKEN}"},
        {**job, "webhook_url": f"http://10.0.0.1/?token={URL_TOKEN}"},
    ):
        scene.refused("POST", "/v1/jobs", json=body)
    scene.refused("POST", "/v1/jobs", content=f'{{"input": {INPUT}', headers=kind)
    scene.refused("POST", "/v1/jobs", content=f'["{INPUT}\\u0000"]', headers=kind)
    scene.refused("POST", "/v1/jobs", json=job, headers={"Authorization": f"Bearer {WRONG_KEY}"})
    url = f"https://{URL_USER}@hooks.example.com/{URL_TOKEN}"
    scene.refused("POST", "/v1/webhook-endpoints", json={"url": url})
    done = scene.submit("do what is right")
    scene.ended(done)
    expected = {"expected": {"text": [OUTPUT]}}
    scene.refused("POST", f"/v1/jobs/{done}/feedback", json=expected)


def fall(scene: Scene) -> None:
    """The servers die under load, for what is said of that in the logs."""
    jobs = []
    for name in ("valkey", "postgres", "slm"):
        jobs += [scene.submit("do what is right") for _ in range(3)]
        pid = scene.up.pid_of(name)
        assert pid is not None
        psutil.Process(pid).send_signal(signal.SIGKILL)
        for job in jobs:
            scene.ended(job)


def flower_pages(scene: Scene) -> dict[str, bytes]:
    line = scene.up.line
    auth = (str(line["flower_user"]), str(line["flower_password"]))
    with httpx.Client(base_url=str(line["flower"]), auth=auth, timeout=DEADLINE_S) as client:
        names = {"slm.answer", "webhooks.deliver"}
        wait_until(
            lambda: names <= {str(task["name"]) for task in flower.tasks(client)},
            DEADLINE_S,
            "tasks",
            0.2,
        )
        return flower.everything(client)


def broker_keys(scene: Scene) -> dict[str, bytes]:
    found = {}
    with redis.Redis.from_url(str(scene.up.line["redis_url"])) as broker:
        for key in broker.scan_iter():
            kind = broker.type(key)
            value: Any = {
                b"string": lambda key=key: broker.get(key),
                b"list": lambda key=key: broker.lrange(key, 0, -1),
                b"hash": lambda key=key: broker.hgetall(key),
                b"set": lambda key=key: broker.smembers(key),
                b"zset": lambda key=key: broker.zrange(key, 0, -1),
            }[kind]()
            found[f"broker key {key!r}"] = key + b" " + repr(value).encode()
    return found


SENTINELS = {
    "input": INPUT,
    "output": OUTPUT,
    "metadata": METADATA,
    "user": USER,
    "model key": MODEL_KEY,
    "URL token": URL_TOKEN,
    "URL password": URL_USER,
    "wrong key": WRONG_KEY,
    "custom id": CUSTOM_ID,
    "somebody else's secret": OTHER,
}


def test_what_is_recognisable_went_where_it_belongs(scene: Scene, walked: dict[str, bytes]) -> None:
    assert {call.key for call in scene.models.calls} == {f"Bearer {MODEL_KEY}"}
    assert any(INPUT in call.last_message for call in scene.models.calls)
    assert all(URL_TOKEN in request.path for request in scene.receiver.requests)
    assert any(OUTPUT.encode() in request.body for request in scene.receiver.requests)


def test_the_places_that_are_walked_are_not_empty(scene: Scene, walked: dict[str, bytes]) -> None:
    listed = scene.api.get("/v1/jobs", params={"limit": 1})
    assert listed.is_success, listed.text
    job = listed.json()["data"][0]["id"].encode()
    logs = b"".join(text for place, text in walked.items() if place.startswith("log/"))
    assert job in logs
    assert b"slm.answer" in walked["the broker's messages"]
    assert b"slm.answer" in walked["Flower /tasks/datatable"]
    assert sum(place.startswith("Flower /task/") for place in walked) >= 20
    assert b"tierline_http_requests" in walked["/metrics"]
    assert len(scene.problems) >= 12
    assert b"postgres" in walked["command lines"]
    assert any(place.startswith("the broker's file appendonly") for place in walked)


@pytest.mark.parametrize("what", SENTINELS)
def test_nobody_else_sees(walked: dict[str, bytes], what: str) -> None:
    word = SENTINELS[what].encode()
    assert [place for place, text in walked.items() if word in text] == []


def test_nobody_sees_a_key_a_secret_or_a_password(scene: Scene, walked: dict[str, bytes]) -> None:
    assert len(scene.secrets) >= 8
    for what, word in scene.secrets.items():
        assert [place for place, text in walked.items() if word.encode() in text] == [], what


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from /proc")
def test_only_processes_that_call_models_hold_providers_keys(scene: Scene) -> None:
    up = scene.up
    holding, others = set(), set()
    named = {
        up.pid_of(file.name.removesuffix(".pid.json")): file.name.removesuffix(".pid.json")
        for file in (up.home / "run").glob("*.pid.json")
    }
    others_too = {"postgres", "valkey", "flower", "api", "dispatcher", "webhooks"}
    assert others_too | CALL_MODELS <= set(named.values())
    assert any(name.startswith("model-") for name in named.values())
    for process in up.descendants():
        name = named.get(process.pid) or _of_which(process, named)
        held = Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace")
        if MODEL_KEY in held:
            holding.add(name)
        if OTHER in held.replace(f"AWS_SECRET_ACCESS_KEY={OTHER}", ""):
            others.add(name)
    assert holding == CALL_MODELS
    assert others == set()


def _of_which(process: psutil.Process, named: dict[int | None, str]) -> str:
    """The child of `up` that started this one."""
    return next((named[one.pid] for one in process.parents() if one.pid in named), "nobody's")
