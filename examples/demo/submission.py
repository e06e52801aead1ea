"""Submitting the demo's rows by their three roads, and bringing in what each road hands back.

Whatever a road gives for a row (a poll's answer, the job behind a verified webhook, a line of the
backfill's OUT) is what is counted for it. A second, plain look at the list of jobs is for the live
table, and for saying that no row became two jobs.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.demo.product import TIERLINE, Product, ProductFailed, bound
from examples.demo.rows import Road, Row
from examples.receiver import Event, Receiver

TERMINAL = frozenset({"completed", "failed", "cancelled", "expired"})
LIST_S = 1.5  # between two looks at all jobs, for the picture
BACKFILL_TRIES = 10  # runs of one `tierline backfill`; it goes on where the last one stopped
MARK = "demo"  # in a job's metadata: which run of the demo it belongs to


class Submission:
    """One run of the demo. `begin`, `tend` and `stop` belong to the main thread."""

    def __init__(
        self, product: Product, rows: list[Row], run_id: str, folder: Path, receiver: Receiver
    ) -> None:
        self.product = product
        self.rows = rows
        self.run_id = run_id
        self.folder = folder
        self.receiver = receiver
        self.seen: dict[str, dict[str, Any]] = {}  # by custom_id: the job as it was last listed
        self.ids: dict[str, set[str]] = {}  # by custom_id: every job that there is of it
        self.results: dict[str, dict[str, Any]] = {}  # by custom_id: what its road handed back
        self.events = 0  # verified webhooks
        self.problem: Exception | None = None
        self._etags: dict[str, str] = {}
        self._by_id: dict[str, str] = {}  # job id → custom_id, of jobs submitted one by one
        self._ended: set[str] = set()  # ids of jobs whose end a webhook announced
        self._backfills: dict[str, _Backfill] = {}
        self._stop = threading.Event()
        self._no_more = threading.Event()
        self._threads: list[threading.Thread] = []
        receiver.on_event = self._on_event

    @property
    def done(self) -> bool:
        if self._no_more.is_set():
            return all(job["status"] in TERMINAL for job in self.seen.values())
        return len(self.results) == len(self.rows)

    def begin(self) -> None:
        for work in (self._submit, self._collect, self._list):
            thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
            thread.start()
            self._threads.append(thread)
        for feature in sorted({row.feature for row in self.rows}):
            mine = [row for row in self._of(Road.BACKFILL) if row.feature == feature]
            if mine:
                self._backfills[feature] = _Backfill(self, feature, mine)

    def tend(self) -> None:
        """Look after the backfills, and pass on a thread's failure. Raises it."""
        if self.problem is not None:
            raise self.problem
        for backfill in self._backfills.values():
            backfill.tend()

    def stop(self) -> None:
        self._stop.set()
        for backfill in self._backfills.values():
            backfill.stop()
        for thread in self._threads:
            thread.join(5.0)

    def _of(self, *roads: Road) -> list[Row]:
        return [row for row in self.rows if row.road in roads]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if not self._stop.is_set():
                self.problem = error

    def _submit(self) -> None:
        for row in self._of(Road.POLL, Road.WEBHOOK):
            if self._stop.is_set() or self._no_more.is_set():
                return
            body: dict[str, Any] = {
                "feature": row.feature,
                "input": row.input,
                "metadata": self.metadata(row),
            }
            if row.road is Road.WEBHOOK:
                body["webhook_url"] = self.receiver.url
            key = f"{self.run_id}-{row.custom_id}"
            answer = self.product.ask("POST", "/v1/jobs", body, headers={"Idempotency-Key": key})
            if answer.status_code not in (200, 201, 202):
                raise ProductFailed(f"{row.custom_id} was refused: {answer.text[:300]}")
            job = answer.json()
            self._by_id[job["id"]] = row.custom_id
            if job["status"] in TERMINAL:  # of a run that is gone on with: its webhook came then
                self.results[row.custom_id] = job

    def _collect(self) -> None:
        """Ask for the polled jobs by ETag when Retry-After says so, and for those that a webhook
        said have ended."""
        polled = {row.custom_id for row in self._of(Road.POLL)}
        due_s: dict[str, float] = {}  # job id → when to ask again, monotonic
        while not self._stop.wait(0.25):
            for job_id, custom_id in list(self._by_id.items()):
                if custom_id in self.results or self._stop.is_set():
                    continue
                if custom_id not in polled and job_id not in self._ended:
                    continue
                if job_id not in self._ended and time.monotonic() < due_s.get(job_id, 0.0):
                    continue
                headers = {"If-None-Match": self._etags.get(job_id, '""')}
                answer = self.product.ask("GET", f"/v1/jobs/{job_id}", headers=headers)
                due_s[job_id] = time.monotonic() + float(answer.headers.get("Retry-After", 1))
                if answer.status_code == 304:
                    continue
                if answer.status_code != 200:
                    raise ProductFailed(f"{custom_id}: HTTP {answer.status_code}")
                self._etags[job_id] = answer.headers.get("ETag", '""')
                job = answer.json()
                if job["status"] in TERMINAL:
                    self.results[custom_id] = job

    def _on_event(self, event: Event) -> None:
        self.events += 1
        data = event.payload.get("data") or {}
        if event.type.removeprefix("job.") in TERMINAL:
            self._ended.add(str(data.get("id") or data.get("job_id")))

    def _list(self) -> None:
        """Keep the picture of all jobs of this run up to date."""
        while not self._stop.wait(LIST_S):
            self.look()

    def look(self) -> None:
        """Read all jobs of this run once."""
        for job in self.listed():
            custom_id = job["metadata"]["row"]
            self.seen[custom_id] = job
            self.ids.setdefault(custom_id, set()).add(job["id"])

    def booked_usd(self) -> Decimal:
        """What the jobs have cost so far."""
        return sum((Decimal(job["cost_usd"] or 0) for job in list(self.seen.values())), Decimal(0))

    def cancel_rest(self) -> None:
        """Withdraw every job that has not ended, and submit no more. May be called again."""
        self._no_more.set()
        for backfill in self._backfills.values():
            backfill.stop()
            backfill.finished = True
        for job in list(self.seen.values()):
            if job["status"] not in TERMINAL:
                self.product.ask("POST", f"/v1/jobs/{job['id']}/cancel")

    def listed(self) -> Iterable[dict[str, Any]]:
        """All jobs of this run, the newest first."""
        cursor: str | None = None
        while True:
            page = self.product.get("/v1/jobs", limit=100, **({"cursor": cursor} if cursor else {}))
            mine = [job for job in page["data"] if _mark(job) == self.run_id]
            yield from mine
            cursor = page.get("next_cursor")
            # Jobs of this run are the newest: a page without one is an earlier run's.
            if not cursor or not mine:
                return

    def metadata(self, row: Row) -> dict[str, str]:
        return {MARK: self.run_id, "row": row.custom_id}


def _mark(job: dict[str, Any]) -> str | None:
    return (job.get("metadata") or {}).get(MARK)


class _Backfill:
    """One feature's `tierline backfill`, run again should it be killed."""

    def __init__(self, run: Submission, feature: str, rows: list[Row]) -> None:
        self.run = run
        self.feature = feature
        self.rows = rows
        self.tries = 0
        self.finished = False
        self.file = run.folder / f"{feature}.jsonl"
        self.out = run.folder / f"{feature}.out.jsonl"
        self.log = run.folder / f"{feature}.log"
        lines = (
            {"custom_id": row.custom_id, "input": row.input, "metadata": run.metadata(row)}
            for row in rows
        )
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        if not self.file.exists() or self.file.read_text(encoding="utf-8") != text:
            self.file.write_text(text, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self._again_at = 0.0
        self.tend()

    def tend(self) -> None:
        if self.finished or time.monotonic() < self._again_at:
            return
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            if code in (0, 1) and self._take():  # 1: some rows failed, as they may
                self.finished = True
                return
            if self.tries >= BACKFILL_TRIES or code == 2:
                raise ProductFailed(f"the backfill of {self.feature} ended with {code}: {self.log}")
            self._process = None
            self._again_at = time.monotonic() + 1.0
            return
        self.tries += 1
        argv = [*TIERLINE, "backfill", str(self.file), "--feature", self.feature]
        argv += ["--out", str(self.out), "--home", str(self.run.product.home)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                bound(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.run.product.env,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _take(self) -> bool:
        """Read OUT; whether it has every row, each with its job's end."""
        items: dict[str, dict[str, Any]] = {}
        try:
            for line in self.out.read_text(encoding="utf-8").splitlines():
                item = json.loads(line)
                items[item["id"]] = item
        except (OSError, ValueError, KeyError):
            return False
        if set(items) != {row.custom_id for row in self.rows}:
            return False
        for row in self.rows:
            self.run.results[row.custom_id] = items[row.custom_id]
        return True
