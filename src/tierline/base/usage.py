"""The tokens that a call to a model took."""

from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4
"""An estimate before anything is sent: of English, in the tokenizers of the large providers."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, in disjoint buckets; None where it was not reported.

    A field's name is its column's.
    """

    input_tokens: int | None  # neither read from a cache nor written to one
    output_tokens: int | None  # without the reasoning ones, where these are told apart
    cached_input_tokens: int | None = None
    cache_write_5m_tokens: int | None = None  # kept for five minutes
    cache_write_1h_tokens: int | None = None  # kept for an hour
    reasoning_tokens: int | None = None  # None too where the provider counts them as output
