"""The books see what they are there to see: each kind of loss, repetition and wrong sum."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.faults.books import balance
from tests.faults.features import cost_of
from tests.faults.orders import Order
from tests.faults.snapshot import (
    AttemptRow,
    Balance,
    CallRow,
    DeliveryRow,
    JobRow,
    OutFile,
    OutRow,
    Snapshot,
)
from tests.support.fake_servers.model_ledger import LedgerCall
from tierline.base.ids import new_id

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}
COST = cost_of("small", USAGE)
ORDER = Order("r1-1", "plain", "north", hooked=True)
JOB_ID = new_id()


def call(number: int = 1, ledger_id: int | None = 7, cost_usd: Decimal | None = COST) -> CallRow:
    request_id = None if ledger_id is None else f"req-{ledger_id}"
    return CallRow(number, cost_usd is not None, cost_usd, request_id, cost_usd)


def job(*attempts: AttemptRow, **changed: Any) -> JobRow:
    """A job that ended well, by these attempts."""
    values: Mapping[str, Any] = {
        "id": JOB_ID,
        "mark": "r1-1",
        "status": "completed",
        "output": {"mark": "r1-1"},
        "error_code": None,
        "escalated": False,
        "endings": 1,
        "shown_usd": sum((attempt.shown_usd for attempt in attempts), Decimal(0)),
        "shown_unknown": sum(c.cost_usd is None for a in attempts for c in a.calls),
        "attempts": attempts,
    }
    return JobRow(**{**values, **changed})


PASSED = AttemptRow(1, "passed", COST, (call(),))
LOST = AttemptRow(1, "worker_lost", Decimal(0), (call(ledger_id=None, cost_usd=None),))
DELIVERY = DeliveryRow("msg_1", JOB_ID, "job.completed", "delivered", "north")
GOOD = Snapshot(
    orders={"r1-1": ORDER},
    batches={},
    jobs=[job(PASSED)],
    deliveries=[DELIVERY],
    arrived={"msg_1": 1},
    ledger={7: LedgerCall(7, "small", "r1-1", 200, USAGE)},
    batch_outputs={},
)


def of(jobs: list[JobRow], **changed: Any) -> Balance:
    return balance(replace(GOOD, jobs=jobs, **changed))


def test_good_books_are_clean() -> None:
    assert balance(GOOD).clean


@pytest.mark.parametrize(
    "jobs",
    [[], [job(PASSED, status="queued")], [job(PASSED, status="in_progress")]],
    ids=["no row", "still waits", "still runs"],
)
def test_an_accepted_job_that_did_not_end_is_lost(jobs: list[JobRow]) -> None:
    assert of(jobs).lost >= 1


@pytest.mark.parametrize(
    "jobs",
    [
        [job(PASSED), job(PASSED, id=new_id())],
        [job(PASSED, endings=2)],
        [job(PASSED, replace(PASSED, number=2))],
    ],
    ids=["two rows", "ended twice", "answered and booked twice"],
)
def test_what_ended_or_was_booked_twice_is_repeated(jobs: list[JobRow]) -> None:
    assert of(jobs).repeated >= 1


def test_another_jobs_answer_is_seen() -> None:
    assert not of([job(PASSED, output={"mark": "r1-2"})]).clean


def test_another_jobs_call_is_seen() -> None:
    ledger = {
        7: LedgerCall(7, "small", "r1-2", 200, USAGE),
        8: LedgerCall(8, "small", "r1-1", 200, USAGE),
    }
    assert not of([job(PASSED)], ledger=ledger).clean


def test_a_call_without_a_row_is_seen() -> None:
    more = {**GOOD.ledger, 8: LedgerCall(8, "small", "r1-1", 200, USAGE)}
    assert "1 calls of the ledger have no row" in str(of([job(PASSED)], ledger=more).problems)


@pytest.mark.parametrize(
    "changed",
    [
        job(PASSED, shown_usd=COST + 1),
        job(replace(PASSED, shown_usd=COST + 1)),
        job(replace(PASSED, calls=(replace(call(), cost_usd=COST + 1, shown_usd=COST + 1),))),
    ],
    ids=["of the job", "of the attempt", "of the call against the tokens"],
)
def test_sums_that_do_not_add_up_are_seen(changed: JobRow) -> None:
    assert of([changed]).apart_usd > 0


def test_what_an_account_is_shown_must_add_up() -> None:
    assert of([job(PASSED)], accounts_apart=Decimal("0.01")).apart_usd == Decimal("0.01")


def test_a_call_that_was_cut_by_a_kill_is_counted_and_is_no_fault() -> None:
    again = replace(PASSED, number=2)
    more = {**GOOD.ledger, 6: LedgerCall(6, "small", "r1-1")}
    books = of([job(LOST, again)], ledger=more)
    assert books.clean
    assert (books.calls_again, books.unknown_cost_calls) == (1, 1)


def test_a_cost_may_be_unknown_only_where_a_worker_was_lost() -> None:
    unknown = replace(PASSED, shown_usd=Decimal(0), calls=(call(cost_usd=None),))
    assert not of([job(unknown)]).clean
    assert not of([job(LOST, replace(PASSED, number=2))], workers_lost=False).clean


@pytest.mark.parametrize(
    ("deliveries", "arrived"),
    [
        ([], {}),
        ([DELIVERY], {}),
        ([replace(DELIVERY, status="pending")], {"msg_1": 1}),
    ],
    ids=["never written", "never arrived", "not yet told"],
)
def test_a_webhook_that_was_due_and_did_not_come_is_lost(
    deliveries: list[DeliveryRow], arrived: dict[str, int]
) -> None:
    assert of([job(PASSED)], deliveries=deliveries, arrived=arrived).lost == 1


@pytest.mark.parametrize("status", ["failed", "put off"])
def test_a_webhook_that_is_listed_or_to_be_tried_again_is_as_promised(status: str) -> None:
    listed = [replace(DELIVERY, status=status)]
    assert of([job(PASSED)], deliveries=listed, arrived={}).clean


def test_one_event_under_two_ids_is_repeated() -> None:
    twice = [DELIVERY, replace(DELIVERY, webhook_id="msg_2")]
    assert of([job(PASSED)], deliveries=twice, arrived={"msg_1": 1, "msg_2": 1}).repeated == 1


def test_a_row_that_is_missing_or_twice_in_a_batchs_output_is_seen() -> None:
    batch_id = str(UUID(int=1))
    told = [DELIVERY, DeliveryRow("msg_b", UUID(int=1), "batch.completed", "delivered", "north")]
    batch = {
        "batches": {batch_id: [ORDER]},
        "deliveries": told,
        "arrived": {"msg_1": 1, "msg_b": 1},
    }
    assert of([job(PASSED)], **batch, batch_outputs={batch_id: ["r1-1"]}).clean
    assert of([job(PASSED)], **batch, batch_outputs={batch_id: []}).lost == 1
    assert of([job(PASSED)], **batch, batch_outputs={batch_id: ["r1-1"] * 2}).repeated == 1


def test_a_job_may_be_given_up_only_after_three_losses() -> None:
    failed = {"status": "failed", "error_code": "worker_lost", "output": None}
    told = {"deliveries": [replace(DELIVERY, event="job.failed")]}
    losses = [replace(LOST, number=number) for number in (1, 2, 3)]
    assert of([job(*losses, **failed)], ledger={}, **told).clean
    assert not of([job(*losses[:2], **failed)], ledger={}, **told).clean


ROWS = [Order(f"r1-f1-{number}", "plain", "north", batched=True) for number in (1, 2)]
OUT = [OutRow(order.mark, "completed", order.output) for order in ROWS]


@pytest.mark.parametrize(
    ("rows", "lost", "repeated", "problems"),
    [
        (OUT, 0, 0, 0),
        (OUT[:1], 1, 0, 2),
        ([*OUT, OUT[0]], 0, 1, 2),
        (OUT[::-1], 0, 0, 1),
        ([OUT[0], replace(OUT[1], output=OUT[0].output)], 0, 0, 1),
        ([*OUT, OutRow("r1-f2-1", "completed", None)], 0, 0, 1),
    ],
    ids=["whole", "a row too few", "a row twice", "another order", "another's answer", "foreign"],
)
def test_an_out_file_is_whole_in_order_and_its_own(
    rows: list[OutRow], lost: int, repeated: int, problems: int
) -> None:
    books = of([job(PASSED)], files=[OutFile(ROWS, rows)])
    assert (books.lost, books.repeated, len(books.problems)) == (lost, repeated, problems)
