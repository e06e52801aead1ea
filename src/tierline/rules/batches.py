"""Values about a batch that are not in its row: the stored parts and the progress."""

from dataclasses import dataclass
from decimal import Decimal

MAX_CUSTOM_ID = 255  # characters
PLACES = 100_000  # batch_row = part × PLACES + place, both from 1


@dataclass(frozen=True)
class StoredPart:
    """One part of a batch that was accepted."""

    number: int
    sha256: bytes
    rows: int  # invalid rows included
    bad_rows: int


@dataclass(frozen=True)
class Progress:
    """How many of a batch's jobs are in which state, and what they have cost so far."""

    jobs: dict[tuple[str, str], int]  # (status, tier) → how many
    cost_usd: Decimal  # USD
    unknown_cost_calls: int
