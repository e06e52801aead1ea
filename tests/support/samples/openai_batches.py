"""A file and a batch of OpenAI's clients, the batch in each of its states."""

from datetime import timedelta

from tests.support.samples.job_rows import AT, JOB_ID
from tierline.openai_requests.lines import RESPONSES
from tierline.views.batches.batches import StoredBatch
from tierline.views.batches.files import BatchFile, FileBatch, StoredFile

LATER = AT + timedelta(minutes=1)


FILE: StoredFile = {
    **{"id": JOB_ID, "seq": 1, "account_id": 1, "filename": "in.jsonl", "purpose": "batch"},
    **{"bytes": 12, "lines": 3, "sha256": b"", "created_at": AT, "expires_at": LATER},
}  # type: ignore[typeddict-item]


def batch_in(status: str, *, begun: bool, ended: bool, deleted: bool = False) -> FileBatch:
    """A batch in that state."""
    batch: StoredBatch = {
        **{"id": JOB_ID, "seq": 1, "feature": "echo", "feature_version": 2},
        **{"feature_version_id": 5, "status": status, "idempotency_key": None},
        **{"metadata": {"run": "7"}, "webhook_url": None, "created_at": AT, "sealed_at": None},
        **{"completed_at": LATER if ended else None, "input_removed_at": None},
        **{"parts": 1, "rows": 3, "bad_rows": 1},
    }  # type: ignore[typeddict-item]
    file: BatchFile = {
        **{"batch_id": JOB_ID, "account_id": 1, "file_id": JOB_ID, "endpoint": RESPONSES},
        **{"lines": 3, "read_to": 9, "line": 3, "parts": 1},
        **{"begun_at": AT if begun else None, "read_at": AT if ended else None},
        **{"cancelling_at": AT if status == "cancelled" else None},
        **dict.fromkeys(("output_deleted_at", "errors_deleted_at"), AT if deleted else None),
    }  # type: ignore[typeddict-item]
    return {"batch": batch, "file": file}


STATES = {
    "validating": batch_in("open", begun=False, ended=False),
    "reading": batch_in("open", begun=True, ended=False),
    "in_progress": batch_in("sealed", begun=True, ended=False),
    "completed": batch_in("completed", begun=True, ended=True),
    "deleted": batch_in("completed", begun=True, ended=True, deleted=True),
    "cancelling": batch_in("cancelled", begun=True, ended=False),
    "cancelled": batch_in("cancelled", begun=False, ended=True),
}


COUNTS = {
    "none": {},
    "all": {("completed", "slm"): 1, ("failed", "frontier"): 1, ("completed", "frontier"): 2},
    "waiting": {("queued", "slm"): 2, ("in_progress", "slm"): 1, ("expired", "slm"): 1},
}
