"""What is kept of a batch beside its row: the parts that were taken in, and how far it is."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class StoredPart:
    """A part as it was taken in."""

    number: int
    sha256: bytes
    rows: int  # bad ones included
    bad_rows: int


@dataclass(frozen=True)
class Progress:
    """How far a batch is, and what it cost so far."""

    jobs: dict[tuple[str, str], int]  # (status, tier) → how many
    cost_usd: Decimal  # USD
    unknown_cost_calls: int
