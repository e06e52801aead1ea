"""What a run's books are read into: plain rows, so that they can be balanced without a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.faults.orders import Order
from tests.support.fake_servers.model_ledger import LedgerCall


@dataclass(frozen=True)
class CallRow:
    """A row of `calls`."""

    number: int
    settled: bool
    cost_usd: Decimal | None
    request_id: str | None
    shown_usd: Decimal | None  # as the job's attempts show it to its caller

    @property
    def ledger_id(self) -> int | None:
        """The id under which the model server has the call; None when its answer never came."""
        return None if self.request_id is None else int(self.request_id.removeprefix("req-"))


@dataclass(frozen=True)
class AttemptRow:
    number: int
    verdict: str | None
    shown_usd: Decimal
    calls: tuple[CallRow, ...]


@dataclass(frozen=True)
class JobRow:
    """A row of `jobs` with all that belongs to it."""

    id: UUID
    mark: str
    status: str
    output: Any
    error_code: str | None
    escalated: bool
    endings: int  # how often it was seen to end, or to change after its end
    shown_usd: Decimal
    shown_unknown: int
    attempts: tuple[AttemptRow, ...]


@dataclass(frozen=True)
class DeliveryRow:
    webhook_id: str
    of: UUID  # the job or the batch
    event: str
    status: str  # the row's; "put off" when it is pending and its next try is yet to come
    listener: str


@dataclass(frozen=True)
class OutRow:
    """A row of a backfill's OUT."""

    id: str
    status: str
    output: Any


@dataclass(frozen=True)
class OutFile:
    """What a backfill wrote, and what of."""

    orders: Sequence[Order]  # the rows of its file
    rows: Sequence[OutRow]


@dataclass(frozen=True)
class Snapshot:
    """Both halves of the books at one quiet moment."""

    orders: Mapping[str, Order]  # accepted, by mark
    batches: Mapping[str, list[Order]]  # accepted, by batch id
    jobs: list[JobRow]
    deliveries: list[DeliveryRow]
    arrived: Mapping[str, int]  # webhook-ids
    ledger: Mapping[int, LedgerCall]
    batch_outputs: Mapping[str, list[str]]  # custom ids in the output, by batch id
    files: Sequence[OutFile] = ()
    accounts_apart: Decimal = Decimal(0)  # between what accounts are shown and their calls
    workers_lost: bool = True  # whether a worker was killed or frozen
    listening: str = ""  # the account whose endpoint hears of every completed job


@dataclass
class Balance:
    """What the books say."""

    jobs: int = 0
    lost: int = 0
    repeated: int = 0
    apart_usd: Decimal = Decimal(0)
    calls_again: int = 0
    unknown_cost_calls: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.repeated or self.apart_usd or self.problems)

    def lose(self, what: str) -> None:
        self.lost += 1
        self.problems.append(f"lost: {what}")

    def repeat(self, what: str) -> None:
        self.repeated += 1
        self.problems.append(f"repeated: {what}")
