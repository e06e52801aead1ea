"""OpenAI's words for jobs, where both the API and the webhooks use them."""

from uuid import UUID

from tierline.rules.jobs import Status
from tierline.rules.verdicts import Verdict

RESPONSE = "resp_"
BATCH = "batch_"
CHECKS_FAILED = "checks_failed"
INCOMPLETE = {Verdict.TRUNCATED: "max_output_tokens", Verdict.REFUSED: "content_filter"}
"""Failed checks that OpenAI calls incomplete, with its reason for each."""


def openai_id(prefix: str, id: UUID) -> str:
    """Such as resp_01975c2e7a107cc08a1f3f2b9c5d0e11."""
    return prefix + id.hex


def incomplete_reason(status: str, error_code: str | None, error_message: str | None) -> str | None:
    """Why a job whose answer was cut off or refused is incomplete; None for every other."""
    if status != Status.FAILED or error_code != CHECKS_FAILED:
        return None
    verdict = (error_message or "").partition(":")[0]
    return next((why for kind, why in INCOMPLETE.items() if kind == verdict), None)
