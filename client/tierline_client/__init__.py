"""A Python client for the API of tierline. It imports nothing from the server.

`transport` makes requests, `errors` has the exceptions, `retries` repeats requests that are safe to
repeat.
"""

from tierline_client.errors import (
    Conflict,
    Failed,
    FieldProblem,
    Forbidden,
    InvalidInput,
    LimitReached,
    Misconfigured,
    NotFound,
    NotTierline,
    TierlineError,
    Unavailable,
)
from tierline_client.retries import Patience, Retrying
from tierline_client.transport import Place, Transport

__all__ = [
    "Conflict",
    "Failed",
    "FieldProblem",
    "Forbidden",
    "InvalidInput",
    "LimitReached",
    "Misconfigured",
    "NotFound",
    "NotTierline",
    "Patience",
    "Place",
    "Retrying",
    "TierlineError",
    "Transport",
    "Unavailable",
]
