"""Running a feature file's cases as jobs of a draft, a few at a time, and telling what came."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tierline.checks.cases import case_fault
from tierline.cli.client import Client
from tierline.cli.drafts import TERMINAL, keep_draft, submit
from tierline.cli.output import Col, brief, line, note, one_line, print_table, seconds, usd
from tierline.errors import LimitReached, TierlineError
from tierline.features import Feature
from tierline.features.cases import Case
from tierline.json_text import JSON
from tierline.views import usd as exact
from tierline.yaml_lines import read_yaml

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

AT_ONCE = 16  # jobs in the queues: enough for their threads, few enough to cancel
POLL_S = 0.3
FULL_S = 1.0  # where the account's backlog is full and nothing says for how long


@dataclass(frozen=True)
class CaseRun:
    """One case and what came of it."""

    number: int  # from 1, in the file
    line: int | None
    case: Case
    job: JSON  # as it was last seen
    fault: str | None  # None: as it must be
    took_s: float

    def to_dict(self) -> dict[str, JSON]:
        job = self.job
        return {
            "number": self.number,
            "name": self.case.name,
            "line": self.line,
            "passed": self.fault is None,
            "fault": self.fault,
            "job_id": job["id"],
            "status": job["status"],
            "tier": job["tier"],
            "model": job["model"],
            "output": job["output"],
            "cost_usd": job["cost_usd"],
            "unknown_cost_calls": job["unknown_cost_calls"],
            "took_s": round(self.took_s, 3),
        }


@dataclass(frozen=True)
class FileRun:
    """All cases of one file."""

    path: Path
    feature: Feature
    draft: JSON
    cases: tuple[CaseRun, ...]

    @property
    def failed(self) -> int:
        return sum(one.fault is not None for one in self.cases)

    @property
    def cost_usd(self) -> Decimal:
        """What is known of it."""
        return sum((Decimal(one.job["cost_usd"] or 0) for one in self.cases), Decimal(0))

    @property
    def unknown(self) -> int:
        return sum(one.job["unknown_cost_calls"] for one in self.cases)

    def to_dict(self) -> dict[str, JSON]:
        return {
            "file": str(self.path),
            "feature": self.feature.name,
            "draft": self.draft["version"],
            "passed": len(self.cases) - self.failed,
            "failed": self.failed,
            "cost_usd": exact(self.cost_usd),
            "unknown_cost_calls": self.unknown,
            "cases": [one.to_dict() for one in self.cases],
        }


def run_cases(
    api: Client, path: Path, text: str, feature: Feature, tier: str | None, within_s: float
) -> FileRun:
    """Ask each case of the file on the queues; what has not ended after `within_s` is cancelled."""
    draft = keep_draft(api, path, text, tier)
    places = read_yaml(text, str(path))
    waiting = list(enumerate(feature.cases))
    running: dict[int, tuple[JSON, float]] = {}
    ended: dict[int, CaseRun] = {}
    give_up = time.monotonic() + within_s

    def end(index: int, job: JSON, fault: str | None) -> None:
        took_s = time.monotonic() - running.pop(index)[1]
        at = places.line(("cases", index))
        ended[index] = CaseRun(index + 1, at, feature.cases[index], job, fault, took_s)

    try:
        with _Bar(len(waiting), path) as bar:
            while waiting or running:
                _submit_some(api, draft, waiting, running)
                for index, (job, _) in list(running.items()):
                    now = api.get(f"/v1/jobs/{job['id']}")
                    if now["status"] in TERMINAL:
                        end(index, now, case_fault(feature.cases[index], now))
                        bar.show(len(ended), sum(one.fault is not None for one in ended.values()))
                if time.monotonic() > give_up:
                    break
                if running:
                    time.sleep(POLL_S)
    finally:
        _cancel(api, [job for job, _ in running.values()])
    for index, (job, _) in list(running.items()):
        end(index, api.get(f"/v1/jobs/{job['id']}"), f"it had not ended after {within_s:g} s")
    runs = [ended[index] for index in sorted(ended)]
    return FileRun(path, feature, draft, tuple(runs))


def report(run: FileRun) -> None:
    """For a person: a row a case, and what all of it came to."""
    print_table(
        [
            *(Col("CASE"), Col("RESULT", wrap=False), Col("TIER", wrap=False)),
            *(Col("TIME", "right"), Col("COST", "right"), Col("WHY, OR WHAT CAME")),
        ],
        [
            (
                _named(one),
                "passed" if one.fault is None else "failed",
                one.job["tier"],
                seconds(one.took_s),
                usd(one.job["cost_usd"]) + (" + ?" if one.job["unknown_cost_calls"] else ""),
                one_line(one.fault, 300) if one.fault else _came(one),
            )
            for one in run.cases
        ],
        empty="",
    )
    unknown = f", and {run.unknown} calls of unknown cost" if run.unknown else ""
    line(
        f"{run.path}: {len(run.cases)} cases: {run.failed} failed, "
        f"{len(run.cases) - run.failed} passed; cost {usd(exact(run.cost_usd))}{unknown}"
    )


def _named(one: CaseRun) -> str:
    name = one.case.name or brief(one.case.input, 40)
    return f"{one.line or one.number}: {name}"


def _came(one: CaseRun) -> str:
    if one.case.kind == "unserved":
        return "nothing was served"
    return brief(one.job["output"])


def _submit_some(
    api: Client,
    draft: JSON,
    waiting: list[tuple[int, Case]],
    running: dict[int, tuple[JSON, float]],
) -> None:
    """Fill up to AT_ONCE, as far as the account's backlog has room."""
    while waiting and len(running) < AT_ONCE:
        index, case = waiting[0]
        try:
            running[index] = (submit(api, draft, case.input), time.monotonic())
        except LimitReached as full:
            if not running:
                time.sleep(full.retry_after_s or FULL_S)
            return
        del waiting[0]


def _cancel(api: Client, jobs: Sequence[JSON]) -> None:
    """What is asked no more costs no more; whatever keeps it from that is not the news."""
    for job in jobs:
        with suppress(TierlineError):
            api.post(f"/v1/jobs/{job['id']}/cancel")


class _Bar:
    """How far it is, on a terminal's stderr; elsewhere nothing."""

    def __init__(self, total: int, path: Path) -> None:
        self._total = total
        self._path = path
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "_Bar":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True, highlight=False, markup=False, emoji=False)
            self._progress = Progress(console=console, transient=True)
            self._progress.start()
            self._task = self._progress.add_task(str(self._path), total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, done: int, failed: int) -> None:
        if self._progress is not None and self._task is not None:
            told = f"{self._path}: {failed} failed" if failed else str(self._path)
            self._progress.update(self._task, completed=done, description=told)


def warn(draft: JSON, path: Path) -> None:
    """What is missing around the file, on stderr."""
    for warning in draft.get("warnings") or []:
        note(f"{path}: warning: {warning}")
