"""What a model can do at a provider: the catalogue's facts, else the provider's own rule."""

from dataclasses import replace
from functools import lru_cache

from tierline.catalogue import find
from tierline.providers.types import Capabilities

REASONING_ALLOWANCE = 25_000
"""Extra tokens for a model that thinks first, beyond max_tokens, so that thoughts leave room for
the answer. Our choice, enough for narrow tasks; only used tokens are paid for."""


@lru_cache(maxsize=4096)
def with_catalogue(provider: str, model: str, assumed: Capabilities) -> Capabilities:
    """`assumed`, updated with the catalogue's facts about exactly this model."""
    entry = find(provider, model)
    listed = None if entry is None else entry[1]
    if listed is None:
        return assumed
    facts: dict[str, bool | int | None] = {"most_output_tokens": listed.output_tokens}
    for name in ("structured_output", "temperature"):
        fact = getattr(listed, name)
        if fact is not None:
            facts[name] = fact
    if listed.logprobs is False:
        facts["most_logprobs"] = 0
    return replace(assumed, **facts)  # type: ignore[arg-type]


def output_limit(max_tokens: int, can: Capabilities, effort: str | None = None) -> int:
    """The token limit of a call, thinking included.

    A model with an effort set is assumed to think.
    """
    thinks = can.reasoning or (effort in can.efforts and effort != "none")
    limit = max_tokens + (REASONING_ALLOWANCE if thinks else 0)
    return limit if can.most_output_tokens is None else min(limit, can.most_output_tokens)
