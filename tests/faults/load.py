"""Asks for jobs while things break, as a careful caller would: again, with the same key, until it
is told that the job was accepted.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.faults.orders import Order, batches, files, singles
from tests.faults.scene import Scene
from tests.support.waiting import wait_until

ACCEPTED_S = 180.0  # for one job to be accepted: longer than any outage
PAUSE_S = 0.1
AWAY = frozenset({429, 503})  # what may be answered while something is broken
LEAST_JOBS = 8  # single ones of a round
FIRST_JOBS = 4  # accepted before anything breaks
BATCH_ROWS = 6
FILE_ROWS = 12


@dataclass
class Accepted:
    """What the product said it has taken in."""

    orders: dict[str, Order] = field(default_factory=dict)  # by mark
    job_ids: dict[str, str] = field(default_factory=dict)  # by mark; of single jobs
    batches: dict[str, list[Order]] = field(default_factory=dict)  # by batch id
    files: list[tuple[list[Order], Path]] = field(default_factory=list)  # with their OUT
    odd_answers: Counter[str] = field(default_factory=Counter)  # what nobody should be answered


class Load:
    """The callers of one round: one sends single jobs, one batches, one runs backfills."""

    def __init__(self, scene: Scene, round_name: str, per_s: float) -> None:
        self.accepted = Accepted()
        self._scene = scene
        self._every_s = 1 / per_s
        self._round = round_name
        self._stop = threading.Event()
        self._failed: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(send,), name=send.__name__)
            for send in (self._send_singles, self._send_batches, self._send_files)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def begin(self) -> None:
        """Return when the first jobs are accepted."""
        wait_until(
            lambda: len(self.accepted.job_ids) >= FIRST_JOBS or self._failed,
            ACCEPTED_S,
            "the first jobs to be accepted",
        )

    def __exit__(self, *_: object) -> None:
        """Ask for no more; returns once everything that was asked for is accepted."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _guarded(self, send: Callable[[], None]) -> None:
        try:
            send()
        except BaseException as error:
            self._failed.append(error)
            raise

    def _send_singles(self) -> None:
        clients = {name: self._scene.client(key) for name, key in self._scene.keys.items()}
        for number, order in enumerate(singles(self._scene.seed, self._round)):
            if number >= LEAST_JOBS and self._stop.is_set():
                break
            body = {"feature": order.feature, "input": order.input}
            if order.hooked:
                body["webhook_url"] = self._scene.receipts.url(order.account)
            answer = self._persist(
                clients[order.account], "POST", "/v1/jobs", json=body, key=order.mark
            )
            self.accepted.orders[order.mark] = order
            self.accepted.job_ids[order.mark] = answer.json()["id"]
            self._stop.wait(self._every_s)
        for client in clients.values():
            client.close()

    def _send_batches(self) -> None:
        for number, orders in enumerate(batches(self._scene.seed, self._round, BATCH_ROWS)):
            if number and self._stop.wait(self._scene.times.batch_every_s):
                break
            self._send_batch(orders)

    def _send_batch(self, orders: list[Order]) -> None:
        first = orders[0]
        opening = {
            "feature": first.feature,
            "webhook_url": self._scene.receipts.url(first.account),
        }
        rows = [json.dumps({"custom_id": each.mark, "input": each.input}) for each in orders]
        with self._scene.client(self._scene.keys[first.account]) as client:
            opened = self._persist(client, "POST", "/v1/batches", json=opening, key=first.mark)
            batch_id = opened.json()["id"]
            self._persist(
                client,
                "PUT",
                f"/v1/batches/{batch_id}/parts/1",
                content="\n".join(rows),
                headers={"Content-Type": "application/x-ndjson"},
            )
            for order in orders:
                self.accepted.orders[order.mark] = order
            self._persist(client, "POST", f"/v1/batches/{batch_id}/seal", json={"parts": 1})
            self.accepted.batches[batch_id] = orders

    def _send_files(self) -> None:
        for number, orders in enumerate(files(self._scene.seed, self._round, FILE_ROWS)):
            if number and self._stop.wait(self._scene.times.file_every_s):
                break
            self._send_file(orders)

    def _send_file(self, orders: list[Order]) -> None:
        """`tierline backfill`, killed once it has begun, and then again until OUT is there."""
        source = self._scene.folder / f"{orders[0].mark}.jsonl"
        rows = [json.dumps({"custom_id": each.mark, "input": each.input}) for each in orders]
        source.write_text("\n".join(rows) + "\n")
        out = source.with_suffix(".out.jsonl")
        state = out.with_name(f"{out.name}.state.json")
        deadline = time.monotonic() + ACCEPTED_S
        killed = False
        while not out.exists():
            with self._scene.backfill(source, orders[0].feature, out, orders[0].account) as run:
                while run.poll() is None:
                    if not killed and state.exists():
                        run.kill()
                        killed = True
                    assert time.monotonic() < deadline, f"{out.name} is not there in time"
                    time.sleep(PAUSE_S)
        for order in orders:
            self.accepted.orders[order.mark] = order
        self.accepted.files.append((orders, out))

    def _persist(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **body: object,
    ) -> httpx.Response:
        """The answer that takes the request in, however often it has to be sent."""
        given = dict(headers or {})
        if key is not None:
            given["Idempotency-Key"] = key
        deadline = time.monotonic() + ACCEPTED_S
        said: object = None
        turn = 0
        while time.monotonic() < deadline:
            turn += 1
            apis = self._scene.apis
            url = apis[(len(self.accepted.orders) + turn) % len(apis)] + path
            try:
                answer = client.request(method, url, headers=given, **body)  # type: ignore[arg-type]
            except httpx.TransportError as error:
                said = error
            else:
                if answer.is_success:
                    return answer
                said = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in AWAY:
                    self.accepted.odd_answers[f"{method} {said}"] += 1
            time.sleep(PAUSE_S)
        raise AssertionError(f"{method} {path} was not accepted within {ACCEPTED_S:g} s: {said}")
