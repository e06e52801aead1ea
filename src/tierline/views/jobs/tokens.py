"""The tokens of calls, by kind."""

from typing import TypedDict

from pydantic import Field

from tierline.views.view import View


class Tokens(TypedDict):
    """The columns of a row with tokens: the fields of `TokenUsage`."""

    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None


TOKENS = tuple(Tokens.__annotations__)
"""The buckets of a call's tokens. They do not overlap."""


class TokenUsage(View):
    """Tokens by kind; null if no call reported them."""

    input_tokens: int | None = Field(description="neither read from a cache nor written to one")
    cached_input_tokens: int | None = Field(description="input read from a cache")
    cache_write_5m_tokens: int | None = Field(description="input cached for five minutes")
    cache_write_1h_tokens: int | None = Field(description="input cached for an hour")
    output_tokens: int | None = Field(description="without reasoning tokens")
    reasoning_tokens: int | None = Field(
        description="null: not reported, or counted as output by the provider"
    )
