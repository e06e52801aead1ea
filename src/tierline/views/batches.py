"""What callers are shown of batches, their parts and their rows: rows as the JSON of the API.

Pure; the columns are those of `storage.batches` and `storage.batch_reads`.
"""

from tierline.base.formats import usd, when
from tierline.base.json_text import JSON
from tierline.rules.batches import Progress, StoredPart
from tierline.rules.jobs import TERMINAL, Status
from tierline.views.jobs import Row

INVALID = "invalid"  # the status of a row that never became a job


BATCH_CONTENT = ("metadata", "webhook_url")
"""The fields of a batch that hold what somebody wrote; a URL may have a token in it."""


def batch_json(row: Row, progress: Progress | None = None, *, content: bool) -> dict[str, JSON]:
    """A batch as callers see it; with counts and cost when they were taken.

    `content`: whether whoever sees it may read; without it BATCH_CONTENT is left out.
    """
    address = f"/v1/batches/{row['id']}"
    found: dict[str, JSON] = {
        "id": str(row["id"]),
        "feature": row["feature"],
        "feature_version": row["feature_version"],
        "status": row["status"],
        "metadata": row["metadata"],
        "webhook_url": row["webhook_url"],
        "parts": row["parts"],
        "rows": row["rows"],
        "bad_rows": row["bad_rows"],
        "created_at": when(row["created_at"]),
        "sealed_at": when(row["sealed_at"]),
        "completed_at": when(row["completed_at"]),
        "input_removed_at": when(row["input_removed_at"]),
        "output_url": f"{address}/output",
        "errors_url": f"{address}/errors",
    }
    if not content:
        found = {name: value for name, value in found.items() if name not in BATCH_CONTENT}
    if progress is None:
        return found
    counts = dict.fromkeys((str(status) for status in Status), 0)
    tiers: dict[str, dict[str, int]] = {}
    for (status, tier), jobs in progress.jobs.items():
        counts[status] += jobs
        of_tier = tiers.setdefault(tier, {"unfinished": 0, "completed": 0, "unanswered": 0})
        if status == Status.COMPLETED:
            of_tier["completed"] += jobs
        else:
            of_tier["unanswered" if status in TERMINAL else "unfinished"] += jobs
    return found | {
        "counts": counts,
        "tiers": tiers,
        "cost_usd": usd(progress.cost_usd),
        "unknown_cost_calls": progress.unknown_cost_calls,
    }


def part_json(part: StoredPart) -> dict[str, JSON]:
    """A part as it was taken in."""
    return {
        "number": part.number,
        "sha256": part.sha256.hex(),
        "rows": part.rows,
        "bad_rows": part.bad_rows,
    }


def row_json(row: Row) -> dict[str, JSON]:
    """A row of a batch: the job that it became, or why it became none."""
    if row.get("id") is None:
        problems = row["problems"]
        said = "; ".join(": ".join(filter(None, (p["path"], p["message"]))) for p in problems)
        return {
            "row": row["batch_row"],
            "custom_id": row["custom_id"],
            "id": None,
            "line": row["line"],
            "status": INVALID,
            "error": {"code": "invalid_row", "message": said, "problems": problems},
        }
    code = row["error_code"]
    return {
        "row": row["batch_row"],
        "custom_id": row["custom_id"],
        "id": str(row["id"]),
        "status": row["status"],
        "output": row["output"],
        "output_removed_at": when(row["output_removed_at"]),
        "unverified": row["unverified"],
        "blocked_reason": row["blocked_reason"],
        "tier": row["tier"],
        "model": row["model"],
        "verdict": row["verdict"],
        "escalated": row["escalation_reason"] is not None,
        "cost_usd": usd(row["cost_usd"]),
        "unknown_cost_calls": row["unknown_cost_calls"],
        "error": None if code is None else {"code": code, "message": row["error_message"]},
    }
