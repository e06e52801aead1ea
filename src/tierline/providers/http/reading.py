"""Reads a server's response data: everything is bounded, and impossible values are dropped.

A response may be anything, even text that a caller made a model or a proxy write. Parts of it are
stored in rows and logs.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from tierline.providers.types import TokenLogprob

MODEL_ID = re.compile(r"[!-~]{1,200}")
SAFE_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
MOST_TOKENS = 100_000_000  # of one call; far above any model's limit


def tokens(count: Any) -> int | None:
    """A plausible token count, else None, so that no response can set its own price."""
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if not isinstance(count, int) or isinstance(count, bool):
        return None
    return count if 0 <= count <= MOST_TOKENS else None


def rest(whole: int | None, *parts: int | None) -> int | None:
    """The whole without its parts; None if that is unknown or impossible."""
    if whole is None:
        return None
    left = whole - sum(part or 0 for part in parts)
    return left if left >= 0 else None


def model_id(reported: Any, requested_model: str) -> str:
    """The exact model id that answered, or the requested one if none is reported."""
    return request_id(reported) or requested_model


def request_id(reported: Any) -> str | None:
    return reported if isinstance(reported, str) and MODEL_ID.fullmatch(reported) else None


def code(value: Any) -> str | None:
    """A short machine-made word, such as an error code; None for anything that may be a
    sentence.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and SAFE_CODE.fullmatch(value) else None


def mapping(value: Any) -> dict[str, Any]:
    """The JSON object, or an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def candidate(data: Mapping[str, Any]) -> TokenLogprob:
    """A candidate for a token. Raises ValueError for a logprob that is not a number, and
    KeyError.
    """
    logprob = float(data["logprob"])
    if math.isnan(logprob):
        raise ValueError("a logprob is not a number")
    return TokenLogprob(str(data["token"]), logprob)
