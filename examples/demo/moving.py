"""The path of a few jobs, for the progress display: the jobs that moved last, a line each."""

from collections.abc import Mapping, Sequence
from typing import Any

from examples.demo.rows import Row

SHOWN = 4  # jobs; with the table above them they fit a screen of 24 lines
DEEPER = "running deeper analysis…"


def path_of(job: Mapping[str, Any], first_tier: str) -> str:
    """Where a job has been and where it is, as `micro: low_confidence → frontier: served`."""
    tier = str(job["tier"] or first_tier)
    now = f"{tier}: {_state(job)}"
    if not job["escalated"] or tier == first_tier:
        return now
    reason = str(job.get("escalation_reason") or "passed on").partition(":")[0]  # its verdict
    return f"{first_tier}: {reason} → {now}"


def _state(job: Mapping[str, Any]) -> str:
    match job["status"]:
        case "completed":
            return "served"
        case "failed":
            return "not sure, left to a person"
        case "queued" if not job["escalated"]:
            return "queued"
        case "queued" | "in_progress":
            return DEEPER if job["escalated"] else "running"
        case other:
            return str(other)


class Moving:
    """Remembers what was shown of each job, so that it knows which ones moved."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._first: dict[str, str] = {}  # by feature: its first tier
        self._paths: dict[str, str] = {}  # by custom_id; the job that moved last stands last

    def moved(self, seen: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The lines of the jobs that moved since the last call; new jobs in a queue did not."""
        lines = []
        for row in self._rows:
            job = seen.get(row.custom_id)
            if job is None:
                continue
            if not job["escalated"] and job["tier"]:
                self._first.setdefault(row.feature, str(job["tier"]))
            path = path_of(job, self._first.get(row.feature, "first tier"))
            before = self._paths.get(row.custom_id)
            if path == before:
                continue
            self._paths.pop(row.custom_id, None)
            self._paths[row.custom_id] = path
            if before is not None or not path.endswith(": queued"):
                lines.append(_line(row.custom_id, path))
        return lines

    def latest(self) -> list[str]:
        """The lines of the jobs that moved last, the newest at the end."""
        return [_line(name, self._paths[name]) for name in list(self._paths)[-SHOWN:]]


def _line(custom_id: str, path: str) -> str:
    return f"{custom_id}  {path}"
