"""The tokens that a call to a model took."""

from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4
"""An estimate before anything is sent, for English text and the tokenizers of the large
providers.
"""


@dataclass(frozen=True)
class Usage:
    """Token counts of one call, in disjoint groups; None if not reported.

    A field has the name of its column.
    """

    input_tokens: int | None  # neither read from nor written to a cache
    output_tokens: int | None  # without reasoning tokens, if these are reported separately
    cached_input_tokens: int | None = None
    cache_write_5m_tokens: int | None = None  # kept for five minutes
    cache_write_1h_tokens: int | None = None  # kept for an hour
    reasoning_tokens: int | None = None  # None too if the provider includes them in the output
