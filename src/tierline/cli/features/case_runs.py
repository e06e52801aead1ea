"""Runs a feature file's cases as jobs of a draft, a few at a time, and reports the results."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tierline.base.formats import usd as exact
from tierline.base.json_text import JSON
from tierline.base.yaml_lines import read_yaml
from tierline.checks.cases import case_fault
from tierline.cli.features.draft_jobs import run_all
from tierline.cli.features.drafts import keep_draft
from tierline.cli.shared.client import Client
from tierline.cli.shared.output import Col, brief, line, note, one_line, print_table, seconds, usd
from tierline.features import Feature
from tierline.features.cases import Case


@dataclass(frozen=True)
class CaseRun:
    """One case and its result."""

    number: int  # from 1, in the file
    line: int | None
    case: Case
    job: JSON  # as it was last seen
    fault: str | None  # None: as expected
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
        """The known part of the cost."""
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
    """Run each case of the file on the queues. Jobs that have not ended after `within_s` are
    cancelled.
    """
    draft = keep_draft(api, path, text, tier)
    places = read_yaml(text, str(path))
    faults: dict[int, str | None] = {}

    def wrong(index: int, job: JSON) -> bool:
        faults[index] = case_fault(feature.cases[index], job)
        return faults[index] is not None

    inputs = [case.input for case in feature.cases]
    runs = []
    for index, run in enumerate(run_all(api, draft, inputs, within_s, str(path), wrong)):
        late = f"it did not end within {within_s:g} s"
        runs.append(
            CaseRun(
                index + 1,
                places.line(("cases", index)),
                feature.cases[index],
                run.job,
                faults[index] if run.ended else late,
                run.took_s,
            )
        )
    return FileRun(path, feature, draft, tuple(runs))


def report(run: FileRun) -> None:
    """For a person: one row per case, and a summary."""
    print_table(
        [
            *(Col("CASE"), Col("RESULT", wrap=False), Col("TIER", wrap=False)),
            *(Col("TIME", "right"), Col("COST", "right"), Col("REASON OR OUTPUT")),
        ],
        [
            (
                _title(one),
                "passed" if one.fault is None else "failed",
                one.job["tier"],
                seconds(one.took_s),
                usd(one.job["cost_usd"]) + (" + ?" if one.job["unknown_cost_calls"] else ""),
                one_line(one.fault, 300) if one.fault else _served(one),
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


def _title(one: CaseRun) -> str:
    name = one.case.name or brief(one.case.input, 40)
    return f"{one.line or one.number}: {name}"


def _served(one: CaseRun) -> str:
    if one.case.kind == "unserved":
        return "nothing was served"
    return brief(one.job["output"])


def warn(draft: JSON, path: Path) -> None:
    """The server's warnings about the file, on stderr."""
    for warning in draft.get("warnings") or []:
        note(f"{path}: warning: {warning}")
