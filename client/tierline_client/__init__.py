"""A Python program's way to the API of tierline. Imports nothing of the server.

`transport` makes requests, `errors` are what they raise, `retries` repeats what may be repeated.
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
