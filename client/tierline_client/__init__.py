"""A Python client for the API of tierline: `Tierline`, and `AsyncTierline` for asyncio.

Nothing is imported before it is used, so that programs start fast: httpx with the first client,
pydantic with the first answer. `Transport` and `Retrying` are what the command line is built on.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tierline_client.async_client import AsyncTierline
    from tierline_client.batching import BatchProgress
    from tierline_client.calls import Answer, Submission
    from tierline_client.client import Tierline
    from tierline_client.errors import (
        BadSignature,
        Conflict,
        Failed,
        FieldProblem,
        Forbidden,
        InvalidInput,
        LimitReached,
        Misconfigured,
        NotFound,
        NotTierline,
        OutputMismatch,
        TierlineError,
        Unavailable,
        WaitTimeout,
    )
    from tierline_client.handles import AsyncJob, Job
    from tierline_client.models import (
        Attempt,
        Batch,
        BatchRow,
        Feature,
        FeatureVersion,
        Feedback,
        JobFailed,
        Usage,
    )
    from tierline_client.retries import Patience, Retrying
    from tierline_client.settings import RawResponses
    from tierline_client.transport import Place, Transport
    from tierline_client.webhook_models import (
        BatchEvent,
        BudgetEvent,
        JobEvent,
        OtherEvent,
        WebhookEvent,
    )
    from tierline_client.webhooks import Webhooks

_MODULES = {
    "async_client": ("AsyncTierline",),
    "batching": ("BatchProgress",),
    "calls": ("Answer", "Submission"),
    "client": ("Tierline",),
    "errors": (
        *("BadSignature", "Conflict", "Failed", "FieldProblem", "Forbidden", "InvalidInput"),
        *("LimitReached", "Misconfigured", "NotFound", "NotTierline"),
        *("OutputMismatch", "TierlineError", "Unavailable", "WaitTimeout"),
    ),
    "handles": ("AsyncJob", "Job"),
    "models": (
        *(
            "Attempt",
            "Batch",
            "BatchRow",
            "Feature",
            "FeatureVersion",
            "Feedback",
            "JobFailed",
            "Usage",
        ),
    ),
    "retries": ("Patience", "Retrying"),
    "settings": ("RawResponses",),
    "transport": ("Place", "Transport"),
    "webhook_models": ("BatchEvent", "BudgetEvent", "JobEvent", "OtherEvent", "WebhookEvent"),
    "webhooks": ("Webhooks",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Answer",
    "AsyncJob",
    "AsyncTierline",
    "Attempt",
    "BadSignature",
    "Batch",
    "BatchEvent",
    "BatchProgress",
    "BatchRow",
    "BudgetEvent",
    "Conflict",
    "Failed",
    "Feature",
    "FeatureVersion",
    "Feedback",
    "FieldProblem",
    "Forbidden",
    "InvalidInput",
    "Job",
    "JobEvent",
    "JobFailed",
    "LimitReached",
    "Misconfigured",
    "NotFound",
    "NotTierline",
    "OtherEvent",
    "OutputMismatch",
    "Patience",
    "Place",
    "RawResponses",
    "Retrying",
    "Submission",
    "Tierline",
    "TierlineError",
    "Transport",
    "Unavailable",
    "Usage",
    "WaitTimeout",
    "WebhookEvent",
    "Webhooks",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    attribute = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = attribute
    return attribute
