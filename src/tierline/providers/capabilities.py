"""What a model can do at a provider: what the catalogue knows, and the rule for the others."""

from dataclasses import replace
from functools import lru_cache

from tierline.catalogue import find
from tierline.providers.types import Capabilities

REASONING_ALLOWANCE = 25_000
"""Tokens on top of max_tokens for a model that thinks first, so that thought leaves room for an
answer. A choice of ours, ample for narrow work; only what is used is paid."""


@lru_cache(maxsize=4096)
def known(provider: str, model: str, otherwise: Capabilities) -> Capabilities:
    """`otherwise`, with what the catalogue knows of exactly this model in its place."""
    found = find(provider, model)
    sold = None if found is None else found[1]
    if sold is None:
        return otherwise
    facts: dict[str, bool | int | None] = {"most_output_tokens": sold.output_tokens}
    for name in ("structured_output", "temperature"):
        fact = getattr(sold, name)
        if fact is not None:
            facts[name] = fact
    if sold.logprobs is False:
        facts["most_logprobs"] = 0
    return replace(otherwise, **facts)  # type: ignore[arg-type]


def output_limit(max_tokens: int, can: Capabilities, effort: str | None = None) -> int:
    """The tokens that a call may make, thinking included.

    A model that is told how long to think is taken for one that thinks.
    """
    thinks = can.reasoning or (effort in can.efforts and effort != "none")
    limit = max_tokens + (REASONING_ALLOWANCE if thinks else 0)
    return limit if can.most_output_tokens is None else min(limit, can.most_output_tokens)
