"""docker-compose.yml runs: `make compose-test`, a part of `make nightly`.

On podman, with base images made from Debian's packages. What that does not show: the official
images, Docker itself, the health checks and the order in `depends_on` (podman 4.3 runs neither
without systemd), and the mode of PostgreSQL's /run/postgresql.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.compose import engine
from tests.support.compose.engine import PROCESSES, Engine
from tests.support.processes.started import ROOT
from tests.support.waiting import wait_until

API = "http://127.0.0.1:8000"
FAR_END = "http://far-end:9000"
FEATURE = """feature: order-number
instructions: Copy the order number from the message.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: object, required: [order_number], properties: {order_number: {type: string}}}
checks:
  - grounded: [order_number]
tiers:
  - {name: slm, models: [vllm:small]}
  - {name: frontier, models: [vllm:large]}
"""
JOBS = 100  # one by one, each with a webhook; as many again by backfill
ENDED = {"completed", "failed", "cancelled", "expired"}


@pytest.fixture
def compose() -> Iterator[Engine]:
    why = engine.missing()
    if why is not None:
        pytest.skip(why)
    made = Engine(ROOT / "build" / "compose")
    made.make_bases()
    made.check_out(
        {
            "VLLM_BASE_URL": f"{FAR_END}/v1",
            "VLLM_API_KEY": "a-key-of-the-test",
            "TIERLINE_WEBHOOK_ALLOW": engine.NETWORKS,
        }
    )
    made.down(with_data=True)  # of a run that was killed
    yield made
    made.down(with_data=True)


class Product:
    """The API behind its published port, with a key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._http = httpx.Client(
            base_url=API, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        )

    def ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def apply(self, source: str) -> None:
        headers = {"Content-Type": "application/yaml"}
        answer = self._http.post("/v1/features", content=source.encode(), headers=headers)
        assert answer.is_success, answer.text

    def submit(self, first: int, count: int) -> list[str]:
        """Jobs for orders of these numbers; their ids."""
        found = []
        for number in range(first, first + count):
            body = {
                "feature": "order-number",
                "input": {"text": f"Order ZK-{number:04} came broken."},
                "webhook_url": f"{FAR_END}/hook",
            }
            answer = self._http.post("/v1/jobs", json=body)
            assert answer.is_success, answer.text
            found.append(str(answer.json()["id"]))
        return found

    def job(self, job_id: str) -> Any:
        return self._http.get(f"/v1/jobs/{job_id}").raise_for_status().json()

    def ended(self, ids: list[str]) -> list[Any]:
        """The jobs, once all of them have ended."""
        open_ = set(ids)
        jobs = {}

        def none_open() -> bool:
            for one in list(open_):
                jobs[one] = self.job(one)
                if jobs[one]["status"] in ENDED:
                    open_.discard(one)
            return not open_

        wait_until(none_open, 300, "the jobs to end", every_s=0.5)
        return [jobs[one] for one in ids]


def hold_right(jobs: list[Any], first: int) -> None:
    """Every job is completed with the right number, an odd one by the second tier."""
    for number, job in enumerate(jobs, first):
        assert (job["status"], job["output"]) == (
            "completed",
            {"order_number": f"ZK-{number:04}"},
        )
        assert job["tier"] == ("frontier" if number % 2 else "slm")


def backfill(key: str, folder: Path, first: int) -> None:
    """As many rows again from a file, by the command line on this machine."""
    rows = [{"text": f"Order ZK-{number:04} is late."} for number in range(first, first + JOBS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps({"input": r}) + "\n" for r in rows))
    ran = subprocess.run(
        [sys.executable, "-m", "tierline", "backfill", "rows.jsonl", "--feature", "order-number"],
        cwd=folder,
        env={**os.environ, "TIERLINE_URL": API, "TIERLINE_API_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{JOBS} rows: {JOBS} completed" in ran.stdout


def seen(compose: Engine) -> Any:
    """What the far end was sent."""
    ask = (
        "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9000/seen').read().decode())"
    )
    return json.loads(compose.podman("exec", f"{engine.PROJECT}_far-end", "python", "-c", ask))


@pytest.mark.nightly
@pytest.mark.timeout(5400)
def test_the_compose_file_runs_survives_a_kill_and_an_upgrade_and_keeps_its_data(
    compose: Engine, tmp_path: Path
) -> None:
    began = time.monotonic()

    def figure(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    first_image = compose.build()
    figure("the image is built")
    compose.up()
    match = re.search(r"^tl_\S+$", compose.log("migrate"), re.MULTILINE)
    assert match, "the first key stands in the log of migrate, as docs/production.md says"
    product = Product(match[0])
    wait_until(product.ready, 120, "the API", every_s=0.5)
    compose.start_far_end()
    figure("all is up")

    product.apply(FEATURE)
    ids = product.submit(0, JOBS)
    backfill(product.key, tmp_path, JOBS)
    hold_right(product.ended(ids), 0)
    wait_until(lambda: _ends(seen(compose)) == JOBS, 120, "a webhook of each job", every_s=0.5)
    calls = seen(compose)["calls"]
    assert (calls["small"], calls["large"]) == (2 * JOBS, JOBS)
    figure(f"{2 * JOBS} jobs through both tiers, {JOBS} webhooks, {JOBS} rows of a backfill")

    ids = product.submit(200, JOBS)
    compose.kill_process("slm")
    hold_right(product.ended(ids), 200)
    figure(f"the worker was killed, and {JOBS} jobs ended all the same")

    with (compose.checkout / "README.md").open("a") as readme:
        readme.write("\nA new image.\n")
    second_image = compose.build()
    assert second_image != first_image
    ids = product.submit(300, JOBS)
    compose.up(recreate=True)
    for service in PROCESSES:
        words = ("inspect", "--format", "{{.Image}}", compose.container(service))
        assert compose.podman(*words).strip() == second_image
    wait_until(product.ready, 120, "the API of the new image", every_s=0.5)
    hold_right(product.ended(ids), 300)
    figure(f"upgraded to a new image, and {JOBS} jobs that waited ended")

    compose.down()
    assert not product.ready()
    compose.up()
    wait_until(product.ready, 120, "the API", every_s=0.5)
    compose.start_far_end()
    hold_right([product.job(one) for one in ids], 300)
    hold_right(product.ended(product.submit(400, 10)), 400)
    figure("taken down and up again, with its data")

    compose.down(with_data=True)
    assert compose.leftovers() == []
    figure("nothing is left but images")


def _ends(found: Any) -> int:
    return sum(event.removeprefix("job.") in ENDED for event in found["events"].values())
